// A file is never held: what 100 MB cost the server in memory, in by each door and out again, the first time after a
// start as `npm start` does it.
import { test } from 'node:test'
import type { HttpVersion } from '../client/net.ts'
import { ServerProcess } from '../server-process.ts'
import type { Door } from './doors.ts'
import { largeCosts } from './large.ts'

const WAYS: readonly (readonly [HttpVersion, Door])[] = [
  [1, 'tus'],
  [2, 'tus'],
  [2, 'google'],
  [1, 's3'],
  [2, 'plain'],
]
for (const [httpVersion, name] of WAYS)
  test(`100 MB over HTTP/${httpVersion} by ${name} cost the server less than 20 MB of memory, in and out`, async (t) => {
    await using server = await ServerProcess.start()
    await largeCosts(t, server, httpVersion, name)
  })
