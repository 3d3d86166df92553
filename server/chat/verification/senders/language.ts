// Finds the language that somebody wants among those that there are (RFC 4647 §3.4, with what people really send).

/** Older tags, and those of languages that are written as another. */
const SAME: Readonly<Record<string, string>> = {
  iw: 'he',
  in: 'id',
  no: 'nb',
  nn: 'nb',
  yue: 'zh',
  cmn: 'zh',
}
const TRADITIONAL = /^(zh|cmn|yue)\b(?!.*-hans\b).*-(hant|tw|hk|mo)\b|^yue\b/i

/** The tags to try for a wanted one, the nearest first. */
function tries(tag: string): string[] {
  const [base = '', ...subtags] = tag.toLowerCase().split('-')
  const own = SAME[base] ?? base
  const whole = [own, ...subtags]
  const shorter = whole.map((_, index) => whole.slice(0, whole.length - index).join('-'))
  const traditional = TRADITIONAL.test(tag) ? ['zh-hant'] : []
  return [...shorter.slice(0, -1), ...traditional, own]
}

/** The first of the wanted languages that is there, the nearest form of it; nothing if none is. */
export function languageOf<L extends string>(wanted: readonly string[], among: readonly L[]): L | undefined {
  for (const tag of wanted.flatMap(tries)) {
    const found = among.find((one) => one.toLowerCase() === tag)
    if (found !== undefined) return found
  }
  return undefined
}
