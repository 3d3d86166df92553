// Sealed sender: who is let in (A5), and that nothing remains of who sent (A4).
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { GroupSendFullToken, ServerSecretParams } from '@signalapp/libsignal-client/dist/zkgroup/index.js'
import { type Clock, systemClock } from '../../server/kit/clock.ts'
import { openSecrets } from '../../server/kit/secrets.ts'
import { openSql } from '../../server/kit/sql/open.ts'
import type { SqlValue } from '../../server/kit/sql/sql.ts'
import { type Aci, pniFromUuid, type ServiceId } from '../../wire/types.ts'
import { GroupSender } from '../client/group-sender.ts'
import { HTTP_VERSIONS } from '../client/net.ts'
import { type Registered, register } from '../client/register.ts'
import { fetchSenderCertificate } from '../client/sender-certificate.ts'
import { SignalClient } from '../client/signal-client.ts'
import { Constellation } from '../constellation.ts'
import { groupSendToken } from '../group-send-token.ts'
import { ServerProcess } from '../server-process.ts'
import { copyFor, type From, openSendDoors, type SendDoor } from './send-doors.ts'

const DAY_MS = 86_400_000
const aciOf = (account: Registered) => account.aci.getServiceIdString() as Aci
const pniOf = (account: Registered) => account.pni.getServiceIdString() as ServiceId

/** The host's clock, ahead of its time. */
let aheadMs = 0
const clock: Clock = { ...systemClock, nowMs: () => Date.now() + aheadMs }
/** A midnight, at which the tests' tokens expire. */
const expiresAtMs = Math.floor(clock.nowMs() / DAY_MS) * DAY_MS + 2 * DAY_MS
let server: Constellation
let doors: readonly SendDoor[]
let close: () => Promise<void>
let bob: Registered
let open: Registered
let params: ServerSecretParams
before(async () => {
  server = await Constellation.open({ clock })
  params = (await server.secrets()).serverSecretParams
  bob = await register(server)
  open = await register(server, { unrestrictedUnidentifiedAccess: true })
  ;({ doors, close } = await openSendDoors(server))
})
after(async () => {
  await close()
  await server.close()
})

const token = (recipients: readonly ServiceId[], by = params): From => ({
  token: groupSendToken({ params: by, recipients, expiresAtMs }),
})
const key = (bytes: Uint8Array): From => ({ key: bytes })

async function expectFromAll(from: From, to: ServiceId, whose: Registered, status: number, title: string) {
  const identity = to === pniOf(whose) ? 'pni' : 'aci'
  const copy = { ...copyFor(whose), registrationId: whose.keys[identity].registrationId }
  for (const door of doors) {
    const outcome = await door.send(from, { to, copies: [copy] })
    const isIncomplete = door.name === 'gRPC' && 'nothing' in from
    assert.equal(outcome.status, isIncomplete ? 422 : status, `${title}, by ${door.name}`)
    if (status === 401 || status === 404) assert.equal(outcome.json, undefined)
  }
}

test('A5: an access key opens its own account by its ACI and nothing else, on every door', async () => {
  const wrong = Buffer.from(bob.accessKey)
  wrong[15]! ^= 1
  const zero = new Uint8Array(16)
  await expectFromAll(key(bob.accessKey), aciOf(bob), bob, 200, 'the right key')
  await expectFromAll(key(wrong), aciOf(bob), bob, 401, 'a key that is one bit off')
  await expectFromAll(key(zero), aciOf(bob), bob, 401, 'zeros')
  await expectFromAll(key(open.accessKey), aciOf(bob), bob, 401, "somebody else's key")
  await expectFromAll(key(bob.accessKey.subarray(0, 15)), aciOf(bob), bob, 401, 'a short key')
  await expectFromAll(key(new Uint8Array()), aciOf(bob), bob, 401, 'an empty key')
  await expectFromAll({ nothing: true }, aciOf(bob), bob, 401, 'no proof')
  await expectFromAll(key(bob.accessKey), pniOf(bob), bob, 401, 'the right key for a PNI')
})

test('A5: who lets everybody in is reached with any key, but not with none, nor by its PNI', async () => {
  await expectFromAll(key(new Uint8Array(16)), aciOf(open), open, 200, 'zeros')
  await expectFromAll(key(bob.accessKey), aciOf(open), open, 200, "somebody else's key")
  await expectFromAll({ nothing: true }, aciOf(open), open, 401, 'no proof')
  await expectFromAll(key(open.accessKey), pniOf(open), open, 401, 'by the PNI')
})

test('A5: who does not exist is as a wrong key is, but for a token that holds and a device', async () => {
  const nobody = randomUUID() as Aci
  await expectFromAll(key(bob.accessKey), nobody, bob, 401, 'a key')
  await expectFromAll(key(bob.accessKey), pniFromUuid(nobody), bob, 401, 'a key for a PNI')
  await expectFromAll({ nothing: true }, nobody, bob, 401, 'no proof')
  await expectFromAll(token([aciOf(bob)]), nobody, bob, 401, 'a token for somebody else')
  await expectFromAll(token([nobody]), nobody, bob, 404, 'a token for nobody')
  await expectFromAll({ device: open }, nobody, bob, 404, 'a device')
})

test('A5: a group send token opens exactly those it was given for, until it expires', async () => {
  const [own, other] = [aciOf(bob), aciOf(open)]
  await expectFromAll(token([own]), own, bob, 200, 'the right token')
  await expectFromAll(token([pniOf(bob)]), pniOf(bob), bob, 200, 'a token for the PNI')
  await expectFromAll(token([pniOf(bob)]), own, bob, 401, 'a token for the PNI, sent to the ACI')
  await expectFromAll(token([other]), own, bob, 401, 'a token for others')
  await expectFromAll(token([own, other]), own, bob, 401, 'a token for more')
  await expectFromAll(token([own], ServerSecretParams.generate()), own, bob, 401, "another server's token")
  await expectFromAll({ token: new Uint8Array([1, 2, 3]) }, own, bob, 401, 'no token')
  aheadMs = expiresAtMs - 60_000 - Date.now()
  await expectFromAll(token([own]), own, bob, 200, 'a minute before it expires')
  aheadMs = expiresAtMs + 1000 - Date.now()
  await expectFromAll(token([own]), own, bob, 401, 'a second after it expired')
  aheadMs = 0
})

/** Every row of every table, as text: a blob is its hexadecimal digits. */
async function rowsOf(data: string): Promise<string[]> {
  const { databaseKey } = await openSecrets(join(data, 'secrets'))
  const file = join(data, 'storage', 'heliograph.db')
  const sql = await openSql({ engine: 'sqlite', file, key: databaseKey }, assert.ifError)
  const tables = await sql.read<{ name: string }>(
    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
  )
  const rows: string[] = []
  for (const { name } of tables)
    for (const row of await sql.read(`SELECT * FROM "${name}"`)) {
      const shown = Object.entries(row).map(([column, value]) => [column, textOf(value)])
      rows.push(`${name} ${JSON.stringify(shown)}`)
    }
  await sql.close()
  return rows
}

const textOf = (value: SqlValue) =>
  value instanceof Uint8Array
    ? `${Buffer.from(value).toString('hex')} ${Buffer.from(value).toString('latin1')}`
    : value

const filesIn = (folder: string): string[] =>
  readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))

for (const httpVersion of HTTP_VERSIONS)
  test(`A4: sealed messages leave no trace of who sent them, in storage, files and log (HTTP/${httpVersion})`, async () => {
    await using process = await ServerProcess.start({ yaml: 'log:\n  level: debug\n' })
    await using sender = await SignalClient.create(process, { httpVersion })
    await using here = await SignalClient.create(process, { httpVersion })
    const away = await register(process, { httpVersion })
    const group = new GroupSender(sender.account)
    for (const member of [here, away]) await group.add(sender.link.unauth, member)
    await group.distribution()
    // What was to be known of the sender is known: the account, and what it sent by name.
    await sender.disconnect()
    await here.disconnect()
    await process.kill('SIGTERM')
    const traces = [sender.aci, sender.pni].flatMap((id) => {
      const hex = Buffer.from(id.getRawUuidBytes()).toString('hex')
      const bytes = Buffer.from(id.getRawUuidBytes())
      return [hex, bytes.toString('latin1'), id.getServiceIdString().replace('PNI:', '')]
    })
    const needles = [...traces, sender.account.number, sender.account.password]
    const naming = (texts: readonly string[], more: readonly string[] = []) =>
      texts.filter((text) => [...needles, ...more].some((needle) => text.includes(needle))).sort()
    const countIn = (file: string) => {
      const bytes = readFileSync(file)
      return needles.filter((needle) => bytes.includes(Buffer.from(needle, 'latin1'))).length
    }
    const known = naming(await rowsOf(process.data))
    assert.ok(known.length > 0, 'the search finds an account')
    const inFiles = new Map(filesIn(process.data).map((file) => [file, countIn(file)]))
    assert.ok(
      [...inFiles.values()].some((count) => count > 0),
      'the search finds the number in the outbox',
    )

    await process.restart(0)
    const startLines = process.log.length
    await sender.connect()
    await here.connect()
    const sentBefore = here.unreadable.all.length
    await sender.sendText(here, 'sealed to one', { sealed: true })
    await sender.sendText(away, 'sealed to one who is away', { sealed: true })
    const params = (await openSecrets(join(process.data, 'secrets'))).serverSecretParams
    const recipients = [aciOf(here.account), aciOf(away)]
    const auth = new GroupSendFullToken(new Uint8Array(groupSendToken({ params, recipients, expiresAtMs })))
    const common = { timestamp: sender.nextTimestamp(), onlineOnly: false, urgent: true }
    const { auth: named, unauth } = sender.link
    const certificate = await fetchSenderCertificate(named)
    await unauth.sendMultiRecipientMessage({
      ...common,
      payload: await group.seal('to many', certificate),
      auth,
    })
    await unauth.sendMultiRecipientMessage({
      ...common,
      payload: await group.seal('a story', certificate),
      auth: 'story',
    })
    const { registrationId } = away.keys.aci
    const contents = [{ deviceId: 1, registrationId, contents: new Uint8Array(20) }]
    await unauth.sendMessage({ ...common, destination: away.aci, contents, auth: 'story' })
    await here.messages.size(1)
    await here.unreadable.size(sentBefore + 1)
    const log = process.log.slice(startLines)
    await sender.disconnect()
    await here.disconnect()
    await process.kill('SIGTERM')

    const rows = await rowsOf(process.data)
    assert.ok(rows.filter((row) => row.startsWith('messages ')).length >= 4, 'messages wait for who is away')
    assert.ok(rows.some((row) => row.startsWith('shared_contents ')))
    assert.deepEqual(naming(rows), known)
    const messages = rows.filter((row) => /^(messages|shared_contents) /.test(row))
    assert.deepEqual(naming(messages, ['127.0.0', '::1']), [])
    for (const file of filesIn(process.data)) assert.equal(countIn(file), inFiles.get(file) ?? 0, file)
    assert.deepEqual(naming(log.split('\n'), ['127.0.0', '::1']), [])
  })
