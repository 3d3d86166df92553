// F2: the server is killed while files come in. Nothing that it acknowledged is lost, and nobody ever sees half a file.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { Line } from '../client/line.ts'
import { TusClient } from '../client/tus.ts'
import { gather } from '../files/disk.ts'
import { ownForms } from '../files/own-forms.ts'
import { ServerProcess } from '../server-process.ts'
import { Dice } from './dice.ts'

const ROUNDS = 8
const PART_BYTES = 100_000

test('no byte that was acknowledged is lost to kill -9, no half file is served, and no room is kept', async (t) => {
  await using server = await ServerProcess.start({ yaml: 'roles: [files]' })
  const newForm = await ownForms(server)
  const dice = new Dice(5)
  const download = async (key: string) => {
    const url = new URL(`${server.ready.urls.cdn3}/attachments/${key}`)
    const { status, body } = await new Line(server.ready, 2).send({ method: 'GET', url, headers: {} }, [])
    return { status, bytes: await gather(body) }
  }
  let [cut, finished] = [0, 0]
  for (let round = 0; round < ROUNDS; round++) {
    const bytes = randomBytes(1 + dice.below(12 * PART_BYTES))
    const form = newForm(bytes.length)
    const tus = new TusClient(server.ready, round % 2 === 0 ? 1 : 2, form)
    assert.equal((await tus.create({ 'upload-length': String(bytes.length) })).status, 201)
    const parts = Math.ceil(bytes.length / PART_BYTES)
    const fatal = dice.chance(0.3) ? parts - 1 : dice.below(parts)
    let acknowledged = 0
    const part = (from: number) => tus.append(from, [bytes.subarray(from, from + PART_BYTES)])
    for (let index = 0; index < fatal; index++) {
      const { status, headers } = await part(acknowledged)
      assert.equal(status, 204)
      acknowledged = Number(headers['upload-offset'])
    }
    const last = part(acknowledged).catch(() => undefined)
    if (dice.chance(0.3)) await last
    else for (let turns = dice.below(400); turns > 0; turns--) await new Promise(setImmediate)
    await server.kill()
    acknowledged = Number((await last)?.headers['upload-offset'] ?? acknowledged)
    await server.restart(server.port)

    const found = await download(form.key)
    if (found.status === 200) assert.ok(bytes.equals(found.bytes), `round ${round}: half a file was served`)
    else assert.equal(found.status, 404)
    const offset = await tus.offset()
    assert.ok(offset >= acknowledged, `round ${round}: ${offset} of ${acknowledged} bytes are left`)
    if (offset < bytes.length) cut++
    else finished++
    if (offset < bytes.length) assert.equal((await tus.append(offset, [bytes.subarray(offset)])).status, 204)
    assert.ok(bytes.equals((await download(form.key)).bytes), `round ${round}: other bytes came back`)
  }
  t.diagnostic(`${ROUNDS} kills: ${cut} uploads were cut, ${finished} were whole`)
  assert.deepEqual(await readdir(join(server.data, 'files', 'uploads')), [])
})
