import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import * as LS from '@signalapp/libsignal-client'
import {
  BackupAuthCredentialRequest,
  BackupCredentialType,
  BackupLevel,
  GenericServerSecretParams,
} from '@signalapp/libsignal-client/dist/zkgroup/index.js'
import { openRules, zkSecrets } from '../../../test/chat-rules.ts'
import { OwnBackup } from '../../../test/client/backup-owner.ts'
import { newAci } from '../../../test/sample-account.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { BackupUser } from './backup-user.ts'

const DAY_MS = 86_400_000
const refusedAs = (kind: Refusal['kind']) => (error: unknown) =>
  error instanceof Refusal && error.kind === kind

type Showing = {
  readonly level?: BackupLevel
  readonly type?: BackupCredentialType
  /** Days from today. */
  readonly day?: number
  readonly params?: GenericServerSecretParams
  readonly signingKey?: LS.PrivateKey
}

async function open(t: TestContext) {
  const rules = await openRules(t)
  const { backups, clock } = rules
  /** Shows a credential, issued as a test wants it. */
  const show = (own: OwnBackup, showing: Showing = {}) => {
    const { level = BackupLevel.Paid, type = BackupCredentialType.Messages, day = 0 } = showing
    const params = showing.params ?? zkSecrets().backupServerSecretParams
    const redemptionSeconds = (Math.floor(clock.nowMs() / DAY_MS) + day) * 86_400
    const credential = new BackupAuthCredentialRequest(own.request)
      .issueCredential(redemptionSeconds, level, type, params)
      .serialize()
    const serverKeys = params.getPublicParams()
    return own.present(
      own.receive({ credential, redemptionSeconds }, serverKeys),
      serverKeys,
      showing.signingKey ?? own.signingKey,
    )
  }
  /** A backup whose key is set. */
  const own = async (showing: Showing = {}) => {
    const made = new OwnBackup(newAci())
    assert.ok(await backups.setPublicKey(show(made, showing), made.publicKey))
    return made
  }
  const userOf = async (made: OwnBackup, showing: Showing = {}): Promise<BackupUser> =>
    (await backups.authenticate(show(made, showing))) ?? assert.fail('was refused')
  return { ...rules, show, own, userOf }
}

test('a backup is used by who shows its credential, signed with its key', async (t) => {
  const { backups, own, userOf } = await open(t)
  const user = await userOf(await own())
  const info = backups.info(user)
  assert.match(info.backupDir, /^[\w-]{22}$/)
  assert.match(info.mediaDir, /^[\w-]{22}$/)
  assert.notEqual(info.backupDir, info.mediaDir)
  assert.deepEqual([info.cdn, info.backupName, info.usedBytes], [3, 'messageBackup', 0])
})

test('a backup without a key is like one that does not exist', async (t) => {
  const { backups, show } = await open(t)
  assert.equal(await backups.authenticate(show(new OwnBackup(newAci()))), undefined)
})

test('a presentation of another server, of another time or signed by another key is refused (C2)', async (t) => {
  const { backups, own, show, clock } = await open(t)
  const made = await own()
  const good = show(made)
  assert.ok(await backups.authenticate(good))
  const other = await own()
  const refused: Record<string, ReturnType<typeof show>> = {
    'other params': show(made, { params: GenericServerSecretParams.generate() }),
    'another key': show(made, { signingKey: LS.PrivateKey.generate() }),
    "another backup's key": show(made, { signingKey: other.signingKey }),
    'too early': show(made, { day: 2 }),
    'too late': show(made, { day: -3 }),
    'signature of another presentation': { ...good, signature: show(made).signature },
    'damaged presentation': { ...good, presentation: damaged(good.presentation) },
    'damaged, and signed': signedAnew(made, damaged(good.presentation)),
    'signature too short': { ...good, signature: good.signature.subarray(1) as never },
    'no signature': { ...good, signature: new Uint8Array(0) },
    'no presentation': { ...good, presentation: new Uint8Array(0) },
    garbage: signedAnew(made, new Uint8Array(randomBytes(good.presentation.length))),
  }
  for (const [what, signed] of Object.entries(refused))
    assert.equal(await backups.authenticate(signed), undefined, what)
  clock.advance(3 * DAY_MS)
  assert.equal(await backups.authenticate(good), undefined, 'replayed later')
})

test('a call that shows nothing is 400, not 401', async (t) => {
  const { backups, own, show } = await open(t)
  const good = show(await own())
  const incomplete = [
    { ...good, presentation: undefined },
    { ...good, signature: undefined },
  ]
  for (const signed of incomplete)
    await assert.rejects(backups.authenticate(signed), refusedAs('bad-request'))
})

test('the key of a backup is set once: again is fine, another is refused (C2)', async (t) => {
  const { backups, own, show, userOf } = await open(t)
  const made = await own()
  const before = backups.info(await userOf(made))
  assert.ok(await backups.setPublicKey(show(made), made.publicKey))
  assert.deepEqual(backups.info(await userOf(made)), before)
  const thief = LS.PrivateKey.generate()
  const stolen = show(made, { signingKey: thief })
  assert.equal(await backups.setPublicKey(stolen, thief.getPublicKey().serialize()), false)
  assert.equal(await backups.authenticate(stolen), undefined)
  assert.ok(await userOf(made))
})

test('a key is set by who has its private half, and a credential of ours', async (t) => {
  const { backups, show } = await open(t)
  const made = new OwnBackup(newAci())
  const set = (signed: ReturnType<typeof show>) => backups.setPublicKey(signed, made.publicKey)
  assert.equal(await set(show(made, { signingKey: LS.PrivateKey.generate() })), false)
  assert.equal(await set(show(made, { params: GenericServerSecretParams.generate() })), false)
  assert.equal(await backups.authenticate(show(made)), undefined)
  for (const garbage of [new Uint8Array(0), new Uint8Array(33), made.publicKey.subarray(1)])
    await assert.rejects(backups.setPublicKey(show(made), garbage), refusedAs('bad-request'))
  assert.equal(await set(show(made)), true)
})

test('of two keys that come at once one is set', async (t) => {
  const { backups, show } = await open(t)
  const made = new OwnBackup(newAci())
  const keys = Array.from({ length: 8 }, () => LS.PrivateKey.generate())
  const outcomes = await Promise.all(
    keys.map((signingKey) =>
      backups.setPublicKey(show(made, { signingKey }), signingKey.getPublicKey().serialize()),
    ),
  )
  assert.equal(outcomes.filter(Boolean).length, 1)
})

test('strangers who bring many proofs at once cannot fill the threads that issue credentials', async (t) => {
  const { backups, own, show, issuer } = await open(t)
  const made = await own()
  const signed = show(made)
  const asked = Array.from({ length: 200 }, () => backups.authenticate(signed))
  const issued = issuer.callLinkAuth(newAci(), [0])
  const outcomes = await Promise.allSettled(asked)
  const refused = outcomes.filter(({ status }) => status === 'rejected')
  assert.ok(refused.length > 100 && refused.length < 200, String(refused.length))
  for (const one of refused) assert.ok(refusedAs('unavailable')((one as PromiseRejectedResult).reason))
  assert.equal((await issued).length, 1)
  assert.ok(await backups.authenticate(signed))
})

test('reading is allowed in the folder of the backup, on CDN 3 only', async (t) => {
  const { backups, own, userOf, signatures } = await open(t)
  const user = await userOf(await own())
  const { Authorization } = backups.readHeaders(user, 3) as { Authorization: string }
  assert.deepEqual(signatures.verifyToken(Authorization.replace(/^Bearer /, '')), {
    audience: 'backups',
    scope: 'read',
    subject: user.backup.backupDir,
  })
  for (const cdn of [0, 2, undefined])
    assert.throws(() => backups.readHeaders(user, cdn), refusedAs('bad-request'))
})

test('the backup of messages is written by a form for its one place', async (t) => {
  const { backups, own, userOf, signatures } = await open(t)
  const user = await userOf(await own({ level: BackupLevel.Free }), { level: BackupLevel.Free })
  const formed = await backups.messagesForm(user, 4000)
  assert.ok(formed.kind === 'formed')
  const { form } = formed
  assert.equal(form.key, `${user.backup.backupDir}/messageBackup`)
  assert.equal(form.signedUploadLocation, 'https://own/cdn3/upload/backups')
  assert.deepEqual(signatures.verifyToken(form.headers['Authorization']!.replace(/^Bearer /, '')), {
    audience: 'backups',
    scope: 'write',
    subject: form.key,
    maxBytes: 4000,
  })
  assert.equal((await backups.messagesForm(user, 5000)).kind, 'formed')
  assert.equal((await backups.messagesForm(user, undefined)).kind, 'formed')
  assert.equal((await backups.messagesForm(user, 5001)).kind, 'too-large')
  await assert.rejects(backups.messagesForm(user, 0), refusedAs('bad-request'))
})

test('media are uploaded as an attachment that names nobody', async (t) => {
  const { backups, own, userOf, signatures, limited } = await open(t)
  const media = { type: BackupCredentialType.Media }
  const user = await userOf(await own(media), media)
  const formed = await backups.mediaForm(user, 1000)
  assert.ok(formed.kind === 'formed')
  assert.match(formed.form.key, /^[\w-]{20}$/)
  assert.deepEqual(signatures.verifyToken(formed.form.headers['Authorization']!.replace(/^Bearer /, '')), {
    audience: 'attachments',
    subject: formed.form.key,
    maxBytes: 1000,
  })
  assert.deepEqual(limited, [`backupAttachmentCreate: ${Buffer.from(user.idHash).toString('base64')}`])
  assert.equal((await backups.mediaForm(user, 1001)).kind, 'too-large')
})

test('a credential of the other kind, or of the lower level, is 403', async (t) => {
  const { backups, own, userOf } = await open(t)
  const made = await own()
  const messages = await userOf(made)
  const media = await userOf(made, { type: BackupCredentialType.Media })
  const free = await userOf(made, { type: BackupCredentialType.Media, level: BackupLevel.Free })
  await assert.rejects(backups.messagesForm(media, 1), refusedAs('forbidden'))
  await assert.rejects(backups.mediaForm(messages, 1), refusedAs('forbidden'))
  await assert.rejects(backups.mediaForm(free, 1), refusedAs('forbidden'))
  assert.throws(() => backups.svrbCredentials(media), refusedAs('forbidden'))
  assert.throws(() => backups.infoFor(media, BackupCredentialType.Messages), refusedAs('forbidden'))
  assert.throws(() => backups.infoFor(messages, BackupCredentialType.Media), refusedAs('forbidden'))
})

test('the credentials of SVR-B name the backup, and neither its id nor an account', async (t) => {
  const { backups, own, userOf, services } = await open(t)
  const user = await userOf(await own())
  const credentials = backups.svrbCredentials(user)
  const hash = Buffer.from(user.idHash).toString('hex')
  assert.equal(credentials.username, services.svrb.usernameOf(hash))
  assert.notEqual(credentials.username, hash)
  assert.ok(services.svrb.verify(credentials, DAY_MS))
})

test('deleting all gives new folders at once, and the old ones are to be emptied', async (t) => {
  const { backups, own, userOf, backupStore } = await open(t)
  const made = await own()
  const user = await userOf(made)
  await backups.deleteAll(user)
  const after = backups.info(await userOf(made))
  assert.notEqual(after.backupDir, user.backup.backupDir)
  assert.notEqual(after.mediaDir, user.backup.mediaDir)
  assert.deepEqual(await backupStore.discarded(10), [user.backup.backupDir])
  await backups.deleteAll(user)
  assert.deepEqual(backups.info(await userOf(made)), after)
})

test('nothing that is stored of a backup says whose it is (A4)', async (t) => {
  const { backups, show, sql } = await open(t)
  const aci = newAci()
  const made = new OwnBackup(aci)
  assert.ok(await backups.setPublicKey(show(made), made.publicKey))
  const rows = await sql.read('SELECT * FROM stored_backups')
  assert.equal(rows.length, 1)
  const stored = Buffer.concat(
    Object.values(rows[0]!).map((value) =>
      value instanceof Uint8Array ? value : Buffer.from(String(value)),
    ),
  ).toString('hex')
  const named = [Buffer.from(aci.replaceAll('-', ''), 'hex'), Buffer.from(aci), made.request.subarray(1, 33)]
  for (const bytes of named) assert.ok(!stored.includes(Buffer.from(bytes).toString('hex')))
})

function damaged(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(bytes)
  copy[copy.length - 5]! ^= 1
  return copy
}

const signedAnew = (own: OwnBackup, presentation: Uint8Array<ArrayBuffer>) => ({
  presentation,
  signature: own.signingKey.sign(presentation),
})
