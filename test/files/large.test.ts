// A file is never held: what 100 MB cost the server in memory, on the way in and out.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { Line } from '../client/line.ts'
import { HTTP_VERSIONS } from '../client/net.ts'
import { TusClient } from '../client/tus.ts'
import { ServerProcess } from '../server-process.ts'
import { patterned } from './disk.ts'
import { ownForms } from './own-forms.ts'

const MB = 1_000_000
const LARGE_BYTES = 100 * MB
const PIECE = patterned(MB / 10)
/** Node's default lets garbage gather by tens of MB before it looks: this is about what is held, not about that. */
const YOUNG_HEAP = ['--max-semi-space-size=4']

async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)![1]) * 1024
}

/** So many bytes; looks on the way at how large the server is. */
async function* watched(bytes: number, look: () => Promise<void>): AsyncGenerator<Buffer> {
  for (let sent = 0; sent < bytes; sent += PIECE.length) {
    if (sent % MB === 0) await look()
    yield PIECE
  }
}

for (const httpVersion of HTTP_VERSIONS)
  test(`100 MB cost the server less than 20 MB of memory over HTTP/${httpVersion}, in and out`, async (t) => {
    await using server = await ServerProcess.start({ yaml: 'roles: [files]', nodeArgs: YOUNG_HEAP })
    const newForm = await ownForms(server)
    let peak = 0
    const look = async () => {
      peak = Math.max(peak, await residentBytes(server.pid))
    }
    const exchange = async (bytes: number) => {
      const form = newForm(bytes)
      const tus = new TusClient(server.ready, httpVersion, form)
      await tus.create({ 'upload-length': String(bytes) })
      assert.equal((await tus.append(0, watched(bytes, look))).status, 204)
      const inPeak = peak
      const url = new URL(`${server.ready.urls.cdn3}/attachments/${form.key}`)
      const told = await new Line(server.ready, httpVersion).send({ method: 'GET', url, headers: {} }, [])
      const [is, wanted] = [createHash('sha256'), createHash('sha256')]
      let count = 0
      for await (const chunk of told.body) {
        is.update(chunk)
        if (count++ % 50 === 0) await look()
      }
      for (let sent = 0; sent < bytes; sent += PIECE.length) wanted.update(PIECE)
      assert.equal(is.digest('hex'), wanted.digest('hex'))
      return inPeak
    }
    // The first of them lets the heap grow to what any traffic makes of it; what is held would come on top each time.
    await exchange(LARGE_BYTES)
    const before = await residentBytes(server.pid)
    peak = before
    const inPeak = await exchange(LARGE_BYTES)
    t.diagnostic(`grew by ${(inPeak - before) / MB} MB on the way in, ${(peak - before) / MB} MB in all`)
    assert.ok(peak - before < 20 * MB, `${before} grew to ${peak} bytes`)
  })
