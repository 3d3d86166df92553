// What every action of a change is judged by, and what an action gives back.

import type { Draft } from './draft.ts'
import type { Actions, Group } from './messages.ts'
import { demand } from './refused.ts'
import type { Author, Standing } from './standing.ts'

/** What a profile key presentation proves. */
export type Shown = { readonly userId: Uint8Array; readonly profileKey: Uint8Array }

export type EngineContext = {
  readonly author: Author
  /** The group's identifier: 32 bytes. */
  readonly groupId: Uint8Array
  readonly nowMs: number
  /** From the query of the request. */
  readonly inviteLinkPassword: Uint8Array | undefined
  readonly limits: {
    readonly maxGroupSize: number
    readonly maxTitleBytes: number
    readonly maxDescriptionBytes: number
  }
  /** Nothing if the presentation does not hold for this group. Costs a millisecond: rights are checked before. */
  readonly show: (presentation: Uint8Array) => Shown | undefined
}

export type Change = {
  /** As it was before: rights are judged by it. */
  readonly group: Group
  readonly standing: Standing
  /** As it stands after the actions so far: who is in which list is judged by it. */
  readonly draft: Draft
  readonly version: number
  readonly context: EngineContext
}

/** Applies one kind of action, and gives it back as it will be signed. */
export type Step = (change: Change, proposed: Actions) => Partial<Actions>

/** Refuses a presentation that proves nothing. */
export function shownBy({ context }: Pick<Change, 'context'>, presentation: Uint8Array): Shown {
  demand(presentation.length > 0)
  const shown = context.show(presentation)
  demand(shown !== undefined)
  return shown
}
