import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import {
  BackupCredentialType,
  BackupLevel,
  GenericServerSecretParams,
  ServerSecretParams,
} from '@signalapp/libsignal-client/dist/zkgroup/index.js'
import { openRules, type RulesOptions, zkSecrets } from '../../../test/chat-rules.ts'
import { OwnBackup } from '../../../test/client/backup-owner.ts'
import { receiptPresentation } from '../../../test/receipt.ts'
import { newAci, sampleAccount, sampleDevice } from '../../../test/sample-account.ts'
import { Refusal } from '../../kit/refusal.ts'

const DAY_S = 86_400
const DAY_MS = DAY_S * 1000
const refusedAs = (kind: Refusal['kind']) => (error: unknown) =>
  error instanceof Refusal && error.kind === kind

async function open(t: TestContext, options: RulesOptions = {}) {
  const rules = await openRules(t, options)
  const { accounts, backupCredentials, clock } = rules
  const serverKeys = zkSecrets().backupServerSecretParams.getPublicParams()
  const add = async () => {
    const account = sampleAccount({ devices: [sampleDevice(), sampleDevice({ id: 2 })] })
    assert.ok(await accounts.put(account, []))
    const device = { aci: account.aci, deviceId: 1 }
    const own = { messages: new OwnBackup(account.aci), media: new OwnBackup(account.aci) }
    const ids = { messages: own.messages.request, media: own.media.request }
    const commit = () => backupCredentials.setBackupId(device, ids)
    return { account, device, own, ids, commit }
  }
  const today = () => Math.floor(clock.nowMs() / DAY_MS) * DAY_S
  const issue = (device: Parameters<typeof backupCredentials.issue>[0], days = 0) =>
    backupCredentials.issue(device, today(), today() + days * DAY_S)
  /** The levels of the media credentials of today and the days after it. */
  const levels = async ({ device, own }: Awaited<ReturnType<typeof add>>, days = 0) => {
    const issued = await issue(device, days)
    return issued!.media.map((one) => own.media.receive(one, serverKeys).getBackupLevel())
  }
  const receipt = (inDays = 30, level?: bigint) =>
    receiptPresentation(zkSecrets().serverSecretParams, today() + inDays * DAY_S, level)
  return { ...rules, serverKeys, add, today, issue, levels, receipt }
}

test('an account that committed to both ids gets a credential of each kind for every day', async (t) => {
  const { add, issue, today, serverKeys } = await open(t)
  const { device, own, commit } = await add()
  assert.equal(await issue(device), undefined)
  await commit()
  const issued = await issue(device, 7)
  const days = Array.from({ length: 8 }, (_, day) => today() + day * DAY_S)
  for (const kind of ['messages', 'media'] as const) {
    assert.deepEqual(
      issued![kind].map(({ redemptionSeconds }) => redemptionSeconds),
      days,
    )
    const received = issued![kind].map((one) => own[kind].receive(one, serverKeys))
    const type = kind === 'messages' ? BackupCredentialType.Messages : BackupCredentialType.Media
    assert.ok(received.every((credential) => credential.getType() === type))
  }
})

test('a credential is of no use for another id, day or server (C2)', async (t) => {
  const { add, issue, serverKeys } = await open(t)
  const { account, device, own, commit } = await add()
  await commit()
  const issued = (await issue(device, 1))!.messages
  const [today, tomorrow] = issued as [(typeof issued)[0], (typeof issued)[0]]
  assert.ok(own.messages.receive(today, serverKeys))
  const otherKeys = GenericServerSecretParams.generate().getPublicParams()
  const misuses = [
    () => new OwnBackup(account.aci).receive(today, serverKeys),
    () => own.media.receive(today, serverKeys),
    () => own.messages.receive({ ...today, redemptionSeconds: tomorrow.redemptionSeconds }, serverKeys),
    () => own.messages.receive(today, otherKeys),
  ]
  for (const misuse of misuses) assert.throws(misuse)
})

test('one id can be set alone, and leaves the other', async (t) => {
  const { add, issue, serverKeys, backupCredentials } = await open(t)
  const { device, own, ids } = await add()
  await backupCredentials.setBackupId(device, { messages: ids.messages, media: undefined })
  assert.equal(await issue(device), undefined)
  await backupCredentials.setBackupId(device, { messages: undefined, media: ids.media })
  const issued = await issue(device)
  assert.ok(own.messages.receive(issued!.messages[0]!, serverKeys))
  assert.ok(own.media.receive(issued!.media[0]!, serverKeys))
})

test('only the primary device sets ids, and only such requests are taken (A3)', async (t) => {
  const { add, issue, backupCredentials } = await open(t)
  const { device, ids } = await add()
  const set = (given: Partial<typeof ids>, deviceId = 1) =>
    backupCredentials.setBackupId(
      { ...device, deviceId },
      { messages: undefined, media: undefined, ...given },
    )
  await assert.rejects(set(ids, 2), refusedAs('forbidden'))
  await assert.rejects(set({}), refusedAs('bad-request'))
  const size = ids.media.length
  for (const garbage of [new Uint8Array(0), new Uint8Array(randomBytes(size)), ids.media.subarray(1)])
    await assert.rejects(set({ ...ids, media: new Uint8Array(garbage) }), refusedAs('bad-request'))
  const gone = { aci: newAci(), deviceId: 1 }
  await assert.rejects(backupCredentials.setBackupId(gone, ids), refusedAs('invalid-credentials'))
  assert.equal(await issue(gone), undefined)
  assert.equal(await issue(device), undefined)
})

test('changing an id costs permits, setting it again costs none', async (t) => {
  const { add, limited, backupCredentials } = await open(t)
  const { account, device, ids, commit } = await add()
  await commit()
  const both = [`setBackupId: ${account.aci}`, `setPaidMediaBackupId: ${account.aci}`]
  assert.deepEqual(limited, both)
  await commit()
  assert.deepEqual(limited, both)
  const another = () => new OwnBackup(account.aci).request
  await backupCredentials.setBackupId(device, { messages: undefined, media: another() })
  assert.deepEqual(limited, [...both, both[1]])
  assert.equal(await backupCredentials.secondsToNextId(device), 0)
  for (let change = 0; change < 3; change++)
    await backupCredentials.setBackupId(device, { ...ids, media: another() })
  assert.equal(await backupCredentials.secondsToNextId(device), 7 * DAY_S)
  await assert.rejects(
    backupCredentials.setBackupId(device, { messages: undefined, media: another() }),
    refusedAs('rate-limited'),
  )
})

test('who keeps no media changes its id for media freely', async (t) => {
  const { add, limited } = await open(t, { backups: { level: 'free' } })
  const { account, commit } = await add()
  await commit()
  assert.deepEqual(limited, [`setBackupId: ${account.aci}`])
})

test('days are whole, and from yesterday to eight days ahead, at most eight of them (X1)', async (t) => {
  const { add, backupCredentials, today } = await open(t)
  const { device, commit } = await add()
  await commit()
  const count = async (from: number, to: number) =>
    (await backupCredentials.issue(device, today() + from * DAY_S, today() + to * DAY_S))!.media.length
  assert.deepEqual([await count(-1, 6), await count(1, 8), await count(0, 0)], [8, 8, 1])
  const refused: [number | undefined, number | undefined][] = [
    [undefined, undefined],
    [today(), undefined],
    [today() + 1, today() + DAY_S],
    [today() + DAY_S, today()],
    [today() - 2 * DAY_S, today()],
    [today(), today() + 8 * DAY_S],
    [today() + 2 * DAY_S, today() + 9 * DAY_S],
  ]
  for (const [from, to] of refused)
    await assert.rejects(backupCredentials.issue(device, from, to), refusedAs('bad-request'), `${from} ${to}`)
})

test('the operator says what everybody may do', async (t) => {
  for (const level of ['free', 'paid'] as const) {
    const { add, levels } = await open(t, { backups: { level } })
    const person = await add()
    await person.commit()
    assert.deepEqual(await levels(person), [level === 'free' ? BackupLevel.Free : BackupLevel.Paid])
  }
})

test('a receipt pays until the day that it names', async (t) => {
  const { add, levels, receipt, backupCredentials, clock } = await open(t, { backups: { level: 'free' } })
  const person = await add()
  await person.commit()
  assert.equal(await backupCredentials.redeem(person.device, receipt(2)), 'redeemed')
  const { Free, Paid } = BackupLevel
  assert.deepEqual(await levels(person, 4), [Paid, Paid, Paid, Free, Free])
  clock.advance(DAY_MS)
  assert.deepEqual(await levels(person, 2), [Paid, Paid, Free])
  clock.advance(DAY_MS)
  assert.deepEqual(await levels(person, 1), [Free, Free])
})

test('of two receipts the later one counts', async (t) => {
  const { add, levels, receipt, backupCredentials } = await open(t, { backups: { level: 'free' } })
  const person = await add()
  await person.commit()
  assert.equal(await backupCredentials.redeem(person.device, receipt(5)), 'redeemed')
  assert.equal(await backupCredentials.redeem(person.device, receipt(1)), 'redeemed')
  assert.deepEqual(await levels(person, 3), Array(4).fill(BackupLevel.Paid))
})

test('a receipt is redeemed once, by whomever, however many try at once (C2)', async (t) => {
  const { add, receipt, backupCredentials } = await open(t)
  const people = await Promise.all(Array.from({ length: 8 }, add))
  for (const { commit } of people) await commit()
  const shared = receipt()
  const redeemed = await Promise.all(people.map(({ device }) => backupCredentials.redeem(device, shared)))
  assert.equal(redeemed.filter((outcome) => outcome === 'redeemed').length, 1)
  assert.equal(redeemed.filter((outcome) => outcome === 'invalid').length, 7)
  const winner = people[redeemed.indexOf('redeemed')]!
  assert.equal(await backupCredentials.redeem(winner.device, shared), 'redeemed')
})

test('a receipt that expired, is forged, or is for something else is refused (C2)', async (t) => {
  const { add, receipt, today, backupCredentials } = await open(t)
  const { device, commit } = await add()
  await commit()
  const redeem = (presentation: Uint8Array) => backupCredentials.redeem(device, presentation)
  assert.equal(await redeem(receipt(-1)), 'invalid')
  const foreign = receiptPresentation(ServerSecretParams.generate(), today() + DAY_S)
  assert.equal(await redeem(foreign), 'invalid')
  await assert.rejects(redeem(receipt(1, 200n)), refusedAs('bad-request'))
  await assert.rejects(redeem(receipt(1, 5n)), refusedAs('bad-request'))
  await assert.rejects(redeem(new Uint8Array(randomBytes(20))), refusedAs('bad-request'))
})

test('an account without an id for media keeps its receipt', async (t) => {
  const { add, receipt, ids, backupCredentials } = await open(t).then(async (rules) => ({
    ...rules,
    ...(await rules.add()),
  }))
  const person = await add()
  const own = receipt()
  assert.equal(await backupCredentials.redeem(person.device, own), 'uncommitted')
  await backupCredentials.setBackupId(person.device, { messages: ids.messages, media: undefined })
  assert.equal(await backupCredentials.redeem(person.device, own), 'uncommitted')
  await person.commit()
  assert.equal(await backupCredentials.redeem(person.device, own), 'redeemed')
})

test('commitments go with the account, and stay when it is registered anew (O6)', async (t) => {
  const { add, issue, accounts, sql } = await open(t)
  const { account, device, commit } = await add()
  await commit()
  const known = await accounts.find(account.aci)
  assert.ok(await accounts.put({ ...known!, version: known!.version + 1 }, accounts.replacing(known!)))
  assert.ok(await issue(device))
  await accounts.delete(account.aci)
  assert.deepEqual(await sql.read('SELECT * FROM backup_commitments'), [])
})
