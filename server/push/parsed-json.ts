/** Nothing if it is none: providers, and what stands before them, may answer anything. */
export function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
