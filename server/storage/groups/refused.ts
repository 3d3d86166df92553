/** 400: the change makes no sense in this group. 403: it may, but not from this author. */
export type Refused = { readonly kind: 'refused'; readonly status: 400 | 403 }

/** How a rule stops; nobody outside the engine sees it. */
class Stop extends Error {
  readonly status: 400 | 403

  constructor(status: 400 | 403) {
    super(String(status))
    this.status = status
  }
}

/** Throws: what was asked is wrong whoever asks. */
export function demand(condition: boolean): asserts condition {
  if (!condition) throw new Stop(400)
}

/** Throws: this author may not. */
export function allow(condition: boolean): asserts condition {
  if (!condition) throw new Stop(403)
}

/** What `rules` return, or the refusal that one of them stopped with. */
export function refusable<T>(rules: () => T): T | Refused {
  try {
    return rules()
  } catch (error) {
    if (error instanceof Stop) return { kind: 'refused', status: error.status }
    throw error
  }
}
