/**
 * Runs for several items at a time, and gives what comes of them in the order of the items. When this ends, however it
 * ends, nothing runs any more.
 */
export async function* inOrder<Item, Result>(
  items: readonly Item[],
  atOnce: number,
  run: (item: Item) => Promise<Result>,
): AsyncGenerator<Result, void, undefined> {
  const running: Promise<Result>[] = []
  try {
    for (const item of items) {
      if (running.length >= atOnce) yield await running.shift()!
      const started = run(item)
      started.catch(() => {}) // it is awaited in its turn, or below
      running.push(started)
    }
    while (running.length > 0) yield await running.shift()!
  } finally {
    await Promise.allSettled(running)
  }
}
