// A certificate for servers of tests on this host, of an authority that only those know who are told.
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { openCertificates } from '../server/kit/certificates.ts'

export async function makeCertificates(t: Pick<TestContext, 'after'>) {
  const folder = await mkdtemp(join(tmpdir(), 'helio-certificates-'))
  t.after(() => rm(folder, { recursive: true }))
  const { cert, key, caPemFile } = await openCertificates({
    secretsFolder: join(folder, 'secrets'),
    dataFolder: join(folder, 'data'),
    hosts: ['localhost', '127.0.0.1'],
    nowMs: Date.now(),
  })
  return { cert, key, caFile: caPemFile, ca: await readFile(caPemFile, 'utf8') }
}
