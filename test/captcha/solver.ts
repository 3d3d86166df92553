// A device that solves puzzles, with the code that browsers run.
import assert from 'node:assert/strict'
import { argon2id } from 'hash-wasm'
import { passwordOf } from '../../server/captcha/deriving.ts'
import type { Puzzle } from '../../server/captcha/proof-of-work.ts'
import type { SolutionAction } from '../../server/captcha/solution.ts'
import type { Https } from '../client/https.ts'

/** Tries one counter after the other; the key, or nothing if no counter fits. */
export async function solvePuzzle(puzzle: Omit<Puzzle, 'algorithm'>): Promise<string | undefined> {
  const salt = Buffer.from(puzzle.salt, 'base64url')
  const target = Buffer.from(puzzle.target, 'base64url')
  for (let counter = 0; counter < puzzle.count; counter++) {
    const key = await argon2id({
      ...{ password: passwordOf(counter), salt, iterations: 1, parallelism: 1 },
      ...{ memorySize: puzzle.memoryKiB, hashLength: 32, outputType: 'binary' },
    })
    if (target.equals(key.subarray(0, target.length))) return Buffer.from(key).toString('base64url')
  }
  return undefined
}

/** The key of the site of the pages for Signal clients, as the page names it. */
export async function siteKeyOn(https: Https, action: SolutionAction): Promise<string> {
  const page = (await https.call('GET', `/captcha/${action}`)).body.toString()
  return /data-site="([^"]+)"/.exec(page)![1]!
}

/** What the page for an action gives to a Signal client, without `signalcaptcha://`. */
export async function solveCaptcha(https: Https, action: SolutionAction): Promise<string> {
  const siteKey = await siteKeyOn(https, action)
  const asked = await https.call('POST', '/captcha/puzzles', { json: { siteKey, action } })
  assert.equal(asked.status, 200)
  const { challenge, puzzle } = asked.json
  const key = await solvePuzzle(puzzle)
  const solved = await https.call('POST', '/captcha/solutions', { json: { challenge, key } })
  assert.equal(solved.status, 200)
  return solved.json.href.replace(/^signalcaptcha:\/\//, '')
}
