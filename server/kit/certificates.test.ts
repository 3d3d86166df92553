import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { connect, createServer, type Server } from 'node:tls'
import { Net } from '@signalapp/libsignal-client'
import { type Certificates, openCertificates } from './certificates.ts'

const DAY_MS = 86_400_000
const NOW_MS = Date.now()
const root = mkdtempSync(join(tmpdir(), 'certificates-'))
after(() => rmSync(root, { recursive: true }))

type Home = { dataFolder: string; secretsFolder: string }
const newHome = (): Home => {
  const dataFolder = mkdtempSync(join(root, 'data-'))
  return { dataFolder, secretsFolder: join(dataFolder, 'secrets') }
}
const open = (home: Home, hosts: string[] = [], nowMs = NOW_MS) => openCertificates({ ...home, hosts, nowMs })

const leafOf = ({ cert }: Certificates) => new X509Certificate(cert)
const authorityOf = ({ caPemFile }: Certificates) => new X509Certificate(readFileSync(caPemFile))
const days = (certificate: X509Certificate) =>
  (Date.parse(certificate.validTo) - Date.parse(certificate.validFrom)) / DAY_MS

test('what is made at first start is loaded ever after', async () => {
  const home = newHome()
  const made = await open(home)
  assert.deepEqual(await open(home), made)
  assert.deepEqual(readdirSync(home.secretsFolder).sort(), ['ca.key.pem', 'tls.key.pem'])
  assert.deepEqual(readdirSync(join(home.dataFolder, 'tls')).sort(), ['ca.der', 'ca.pem', 'tls.pem'])
  for (const name of readdirSync(home.secretsFolder)) {
    assert.equal(statSync(join(home.secretsFolder, name)).mode & 0o777, 0o600)
  }
})

test('the authority signs for ten years, and nothing but leaves', async () => {
  const made = await open(newHome())
  const authority = authorityOf(made)
  assert.ok(authority.ca)
  assert.ok(authority.verify(authority.publicKey))
  assert.equal(days(authority), 3651)
  assert.equal(authority.publicKey.asymmetricKeyDetails?.namedCurve, 'prime256v1')
  assert.deepEqual(readFileSync(made.caDerFile), authority.raw)
  assert.match(made.fingerprint, /^([0-9A-F]{2}:){31}[0-9A-F]{2}$/)
})

test('the leaf is for localhost and the configured hosts, for 397 days at most', async () => {
  const made = await open(newHome(), ['chat.example.org', '192.0.2.7', '2001:db8::7', '0.0.0.0', '::'])
  const leaf = leafOf(made)
  assert.ok(!leaf.ca)
  assert.ok(leaf.checkIssued(authorityOf(made)))
  assert.ok(days(leaf) <= 397)
  for (const name of ['localhost', 'chat.example.org']) assert.equal(leaf.checkHost(name), name)
  for (const ip of ['127.0.0.1', '::1', '192.0.2.7', '2001:db8::7']) assert.ok(leaf.checkIP(ip), ip)
  for (const ip of ['0.0.0.0', '::']) assert.equal(leaf.checkIP(ip), undefined)
  assert.equal(leaf.checkHost('example.org'), undefined)
  assert.deepEqual(leaf.keyUsage, ['1.3.6.1.5.5.7.3.1'])
})

test('a leaf is renewed when fewer than 30 days are left, under the same authority', async () => {
  const home = newHome()
  const made = await open(home)
  const endMs = Date.parse(leafOf(made).validTo)
  assert.equal((await open(home, [], endMs - 31 * DAY_MS)).cert, made.cert)
  const renewed = await open(home, [], endMs - 29 * DAY_MS)
  assert.notEqual(renewed.cert, made.cert)
  assert.equal(renewed.fingerprint, made.fingerprint)
  assert.ok(leafOf(renewed).verify(authorityOf(made).publicKey))
  assert.deepEqual(await open(home, [], endMs - 29 * DAY_MS), renewed)
})

test('a new host gives a new leaf; a host that is gone does not', async () => {
  const home = newHome()
  const made = await open(home)
  const wider = await open(home, ['chat.example.org'])
  assert.notEqual(wider.cert, made.cert)
  assert.equal((await open(home)).cert, wider.cert)
})

test('an authority near its end is renewed with its key, so that who trusted it still does', async () => {
  const home = newHome()
  const made = await open(home)
  const old = authorityOf(made)
  const later = await open(home, [], NOW_MS + 3300 * DAY_MS)
  assert.notEqual(later.fingerprint, made.fingerprint)
  assert.equal(authorityOf(later).subject, old.subject)
  assert.ok(leafOf(later).verify(old.publicKey))
})

test('the authority’s key may be kept elsewhere until a leaf must be made', async () => {
  const home = newHome()
  const made = await open(home)
  const [key, elsewhere] = [join(home.secretsFolder, 'ca.key.pem'), join(home.dataFolder, 'elsewhere')]
  renameSync(key, elsewhere)
  assert.deepEqual(await open(home), made)
  await assert.rejects(open(home, ['new.example.org']), {
    name: 'SecretsError',
    message: new RegExp(`^${key} is missing, the key of .*ca.pem: put it back, or delete`),
  })
  renameSync(elsewhere, key)
  assert.equal((await open(home, ['new.example.org'])).fingerprint, made.fingerprint)
})

test('another authority’s key is refused, and a damaged file is one sentence', async () => {
  const [home, other] = [newHome(), newHome()]
  await open(home)
  await open(other)
  const key = join(home.secretsFolder, 'ca.key.pem')
  writeFileSync(key, readFileSync(join(other.secretsFolder, 'ca.key.pem')))
  await assert.rejects(open(home, ['x.org']), { message: /is not the key of/ })
  writeFileSync(key, 'nonsense')
  await assert.rejects(open(home, ['x.org']), { message: `${key} is damaged: put the right copy back.` })
  const authority = join(home.dataFolder, 'tls/ca.pem')
  writeFileSync(authority, 'nonsense')
  await assert.rejects(open(home), {
    name: 'SecretsError',
    message: /ca.pem cannot be read as a certificate/,
  })
})

test('a start that was cut off before its end is completed by the next', async () => {
  for (const lost of ['tls/ca.pem', 'tls/ca.der', 'tls/tls.pem', 'secrets/tls.key.pem']) {
    const home = newHome()
    const made = await open(home)
    const key = authorityOf(made).publicKey
    rmSync(join(home.dataFolder, lost))
    const again = await open(home)
    assert.ok(leafOf(again).verify(key), lost)
    assert.deepEqual(readFileSync(again.caDerFile), authorityOf(again).raw)
    assert.deepEqual(await open(home), again)
  }
})

const hasOpenssl = spawnSync('openssl', ['version']).status === 0
test('openssl finds nothing to complain about', {
  skip: !hasOpenssl && 'openssl is not installed',
}, async () => {
  const home = newHome()
  const { caPemFile } = await open(home, ['chat.example.org', '2001:db8::7'])
  const leafFile = join(home.dataFolder, 'tls/tls.pem')
  for (const check of [
    ['-verify_hostname', 'chat.example.org'],
    ['-verify_ip', '2001:db8::7'],
  ]) {
    const strict = [
      'verify',
      '-x509_strict',
      '-purpose',
      'sslserver',
      '-CAfile',
      caPemFile,
      ...check,
      leafFile,
    ]
    const { stdout, stderr } = spawnSync('openssl', strict, { encoding: 'utf8' })
    assert.equal(stdout.trim(), `${leafFile}: OK`, stderr)
  }
})

async function listen({ key, cert }: Certificates): Promise<Server> {
  const server = createServer({ key, cert, ALPNProtocols: ['http/1.1'] })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return server
}

test('node trusts the server once it has the authority, and not before', async () => {
  const made = await open(newHome())
  const server = await listen(made)
  const { port } = server.address() as AddressInfo
  const shake = (ca?: Buffer) =>
    new Promise<string>((resolve) => {
      const trust = ca === undefined ? {} : { ca }
      const secured = connect({ port, host: '127.0.0.1', servername: 'localhost', ...trust }, () => {
        resolve(secured.getProtocol() ?? '')
        secured.destroy()
      })
      secured.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''))
    })
  assert.equal(await shake(readFileSync(made.caPemFile)), 'TLSv1.3')
  assert.match(await shake(), /UNABLE_TO_(VERIFY_LEAF_SIGNATURE|GET_ISSUER_CERT_LOCALLY)/)
  server.close()
})

async function libsignalSays(server: Server, authorityDer: Buffer) {
  const { port } = server.address() as AddressInfo
  const net = new Net.Net({
    localTestServer: true,
    userAgent: 'test/1',
    TESTING_localServer_chatPort: port,
    TESTING_localServer_cdsiPort: port,
    TESTING_localServer_svr2Port: port,
    TESTING_localServer_svrBPort: port,
    TESTING_localServer_rootCertificateDer: new Uint8Array(authorityDer),
  })
  const listener = { onConnectionInterrupted: () => {} }
  return net.connectUnauthenticatedChat(listener).then(
    () => assert.fail('a bare TLS server is no chat server'),
    (error: Error) => error.message,
  )
}

test('libsignal’s own TLS accepts the certificate, and refuses another authority’s', async () => {
  const [made, other] = [await open(newHome()), await open(newHome())]
  const server = await listen(made)
  let upgrades = 0
  server.on('secureConnection', (socket) => {
    socket.once('data', (data) => {
      if (data.toString().startsWith('GET /v1/websocket/')) upgrades++
      socket.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nX-Signal-Timestamp: 1\r\n\r\n')
    })
    socket.on('error', () => {})
  })
  assert.match(await libsignalSays(server, readFileSync(made.caDerFile)), /401/)
  assert.equal(upgrades, 1)
  await libsignalSays(server, readFileSync(other.caDerFile))
  assert.equal(upgrades, 1)
  server.close()
})
