// What the tests at nginx send.
import { randomBytes } from 'node:crypto'
import type { TestContext } from 'node:test'
import type { Asked } from './client.ts'
import { Fronted, type FrontedOptions, hasNginx } from './fronted.ts'

export const MB = 1_000_000

let last = 0
export const newName = (): string => `object-${++last}-${randomBytes(4).toString('hex')}`

export const put = (
  target: string,
  body: Buffer | AsyncIterable<Buffer>,
  headers: Readonly<Record<string, string>> = {},
): Asked => ({ method: 'PUT', target, body, headers })

export const read = (name: string): Asked => ({ method: 'GET', target: `/attachments/${name}` })

/** Nothing where there is no nginx. */
export const openFronted = async (t: TestContext, options?: FrontedOptions): Promise<Fronted | undefined> =>
  hasNginx(t) ? Fronted.open(t, options) : undefined
