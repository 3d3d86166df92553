import assert from 'node:assert/strict'
import { once } from 'node:events'
import { stat } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '../../test/engines.ts'
import { SocketDoor } from './socket-door.ts'

async function ask(socketPath: string, path: string) {
  const asked = request({ socketPath, path, method: 'PUT', headers: { colour: 'green' } }).end()
  const [response] = await once(asked, 'response')
  response.resume()
  return { status: response.statusCode, headers: response.headers }
}

test('a door on a socket answers whoever may open it, also in the place of one that was killed', async (t) => {
  const path = join(await temporaryFolder(t), 'socket')
  const seen: unknown[] = []
  const serve = async ({ method, target, headers }: { method: string; target: string; headers: object }) => {
    seen.push([method, target, 'colour' in headers && headers.colour])
    return { status: 201, headers: { ETag: '"x"', 'Content-Length': '0' } }
  }
  const first = await SocketDoor.open(path, serve)
  assert.equal((await stat(path)).mode & 0o777, 0o600)
  assert.equal((await ask(path, '/a?b=c')).status, 201)
  const second = await SocketDoor.open(path, serve)
  const { status, headers } = await ask(path, '/d')
  assert.deepEqual([status, headers['etag']], [201, '"x"'])
  assert.deepEqual(seen, [
    ['PUT', '/a?b=c', 'green'],
    ['PUT', '/d', 'green'],
  ])
  await first.close()
  await second.close()
})
