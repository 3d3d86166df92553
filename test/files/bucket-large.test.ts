// A file on its way to a bucket or from it is never held either.
import type { HttpVersion } from '../client/net.ts'
import { ServerProcess } from '../server-process.ts'
import { bucketConfig } from './bucket-config.ts'
import type { Door } from './doors.ts'
import { largeCosts } from './large.ts'
import { onBucket } from './stores.ts'

const SMALL_BYTES = 6_000_000
const WAYS: readonly (readonly [HttpVersion, Door])[] = [
  [1, 'tus'],
  [2, 'google'],
]
for (const [httpVersion, name] of WAYS)
  onBucket(
    `100 MB over HTTP/${httpVersion} by ${name} cost a server that has sent a small file before less than 20 MB of memory, to a bucket and back`,
    async (access, t) => {
      const yaml = JSON.stringify({ files: bucketConfig(access) })
      await using server = await ServerProcess.start({ yaml })
      // What speaking to the bucket takes once, its client and its connections, is no part of what a file costs.
      await largeCosts(t, server, httpVersion, name, SMALL_BYTES)
    },
  )
