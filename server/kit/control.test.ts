import assert from 'node:assert/strict'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { z } from 'zod'
import { askServer, type ControlCall, ControlDoor, ControlError, controlCall } from './control.ts'

const sum = controlCall('sum', z.array(z.number()), (numbers) => numbers.reduce((a, b) => a + b, 0))

async function folderFor(t: TestContext, name = 'data'): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'helio-control-'))
  t.after(() => rm(folder, { recursive: true }))
  return join(folder, name)
}

async function open(t: TestContext, calls: readonly ControlCall[], name?: string) {
  const dataFolder = await folderFor(t, name)
  const bugs: string[] = []
  const onBug = (_: unknown, where: string) => void bugs.push(where)
  const door = await ControlDoor.open({ dataFolder, calls, onBug })
  t.after(() => door.close())
  return { dataFolder, bugs, door, onBug }
}

test('a command gets what the server answers', async (t) => {
  const { dataFolder } = await open(t, [sum])
  assert.equal(await askServer(dataFolder, 'sum', [1, 2, 3], z.number()), 6)
})

test('what cannot be is told in one sentence, and is no bug', async (t) => {
  const no = controlCall('no', z.null(), () => {
    throw new ControlError('Not today.')
  })
  const { dataFolder, bugs } = await open(t, [sum, no])
  await assert.rejects(askServer(dataFolder, 'no', null, z.null()), new ControlError('Not today.'))
  await assert.rejects(askServer(dataFolder, 'sum', ['x'], z.null()), /does not understand "sum"/)
  await assert.rejects(askServer(dataFolder, 'other', null, z.null()), /does not know that command/)
  assert.deepEqual(bugs, [])
})

test('a bug stays in the server and its log', async (t) => {
  const broken = controlCall('broken', z.null(), () => {
    throw new Error('a secret')
  })
  const { dataFolder, bugs } = await open(t, [broken])
  await assert.rejects(askServer(dataFolder, 'broken', null, z.null()), (error: Error) => {
    assert.doesNotMatch(error.message, /secret/)
    return error instanceof ControlError
  })
  assert.deepEqual(bugs, ['control broken'])
})

test('only its owner can reach the socket', async (t) => {
  const { dataFolder } = await open(t, [sum])
  assert.equal((await stat(join(dataFolder, 'control'))).mode & 0o777, 0o700)
})

test('a second server on the same folder is refused, and one after a crash is not', async (t) => {
  const { dataFolder, door, onBug } = await open(t, [sum])
  const again = () => ControlDoor.open({ dataFolder, calls: [sum], onBug })
  await assert.rejects(again(), /running on .* already/)
  assert.equal(await askServer(dataFolder, 'sum', [4], z.number()), 4, 'the first one goes on')
  await door.close()
  await assert.rejects(askServer(dataFolder, 'sum', [4], z.number()), ControlError)
  const next = await again()
  assert.equal(await askServer(dataFolder, 'sum', [5], z.number()), 5)
  await next.close()
})

test('a folder whose path is longer than a socket address works too', async (t) => {
  const { dataFolder } = await open(t, [sum], 'long'.repeat(50))
  assert.equal(await askServer(dataFolder, 'sum', [7], z.number()), 7)
})

test('nobody there is told so', async (t) => {
  await assert.rejects(askServer(await folderFor(t), 'sum', [], z.number()), /No server runs on/)
})

test('noise on the socket harms nobody', async (t) => {
  const { dataFolder, bugs } = await open(t, [sum])
  for (const noise of ['\n', 'null\n', '{"name":7}\n', '[]\n', `${'x'.repeat(2_000_000)}\n`]) {
    const socket = connect(join(dataFolder, 'control', 'socket'))
    const closed = new Promise((resolve) => socket.once('close', resolve))
    socket.on('error', () => {}).resume()
    socket.write(noise)
    await closed
  }
  assert.equal(await askServer(dataFolder, 'sum', [8], z.number()), 8)
  assert.deepEqual(bugs, [])
})
