// The shell lines of docs/protocol/files-plain.md, as they are printed there, with the host's curl and openssl.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { Https } from '../client/https.ts'
import { Constellation } from '../constellation.ts'

const run = promisify(execFile)
const DOCUMENT = join(import.meta.dirname, '../../docs/protocol/files-plain.md')
let server: Constellation
before(async () => {
  server = await Constellation.open()
})
after(() => server.close())

test('a file is uploaded from a shell as the document says, and is there once', async () => {
  const script = [...(await readFile(DOCUMENT, 'utf8')).matchAll(/```sh\n([\s\S]*?)```/g)].map(
    ([, text]) => text,
  )
  assert.equal(script.length, 2)
  const folder = dirname(dirname(server.ready.outbox))
  const FILE = join(folder, 'to-upload')
  const content = randomBytes(100_000)
  await writeFile(FILE, content)
  const env = {
    ...process.env,
    ...{ FILE, NAME: 'from-a-shell', SERVER: server.ready.urls.cdn2, CA: server.ready.tls.caPem },
  }
  const upload = () => run('bash', ['-euo', 'pipefail', '-c', script.join('\n')], { cwd: folder, env })
  await upload()
  await using https = Https.open(server.ready, 1)
  const read = async () => (await https.call('GET', '/attachments/from-a-shell')).body
  assert.ok((await read()).equals(content))
  await writeFile(FILE, 'something else')
  await assert.rejects(upload(), /409/)
  assert.ok((await read()).equals(content))
})
