// axe-core inside a page: what people with other eyes, ears and hands would stumble over.

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Frame } from 'playwright-core'

const SOURCE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

type Found = {
  readonly violations: readonly {
    readonly id: string
    readonly nodes: readonly { readonly html: string }[]
  }[]
}

/** The rules that are broken, each with where. WCAG 2.2 A and AA, and axe's own good practice. */
export async function stumblingBlocks(frame: Pick<Frame, 'evaluate'>): Promise<string[]> {
  await frame.evaluate(SOURCE)
  const { violations } = await frame.evaluate<Found>('axe.run()')
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' | ')}`)
}
