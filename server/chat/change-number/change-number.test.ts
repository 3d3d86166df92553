import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import type { RulesOptions } from '../../../test/chat-rules.ts'
import { makeIdentityKeys, makeOneTimeKeys } from '../../../test/client/identity-keys.ts'
import { newKeys, PASSWORD, registrationOf } from '../../../test/person.ts'
import { openRegistrar, refusedAs } from '../../../test/registrar.ts'
import { newNumber, sampleAccount, sampleDevice } from '../../../test/sample-account.ts'
import { Envelope } from '../../../wire/gen/envelope.js'
import { type E164, uuidOf, uuidToBytes } from '../../../wire/types.ts'
import { type NumberedAccount as Account, deviceOf, numbered } from '../accounts/account.ts'
import { queueOf } from '../messages/store.ts'
import { type Changed, type NumberChange, WAITING_PERIOD_MS } from './change-number.ts'

const TOKEN = 'ab'.repeat(32)
const START_MS = Date.UTC(2026, 0, 1)

/** A server on which people registered long enough ago. */
async function open(t: TestContext, options: RulesOptions = {}) {
  const registrar = await openRegistrar(t, options)
  const { rules, person, verified } = registrar
  const people = async (count: number) => {
    const accounts: Account[] = []
    for (let index = 0; index < count; index++) accounts.push(await person(newNumber()))
    rules.clock.advance(WAITING_PERIOD_MS)
    return accounts
  }
  const withLinked = async (account: Account) =>
    numbered(
      await rules.accounts.update(account.aci, (one) => ({
        ...one,
        devices: [...one.devices, sampleDevice({ id: 2, createdAtMs: START_MS, registrationId: 22 })],
      })),
    )
  const change = (account: Account, fields: Partial<NumberChange>): Promise<Changed> =>
    rules.changeNumber.change({ aci: account.aci, deviceId: 1 }, { ...changeOf(account), ...fields })
  const proofOf = async (number: string) => ({ number, sessionId: await verified(number) })
  const changeTo = async (account: Account, number: string, fields: Partial<NumberChange> = {}) =>
    change(account, { ...(await proofOf(number)), ...fields })
  return { ...registrar, people, withLinked, change, changeTo, proofOf }
}

const signedOf = (key: ReturnType<typeof makeIdentityKeys>['signedPreKey']) => ({
  keyId: key.id(),
  publicKey: key.publicKey().serialize(),
  signature: key.signature(),
})

/** New keys for every device, and nothing for them to read. */
function changeOf({ devices }: Account): NumberChange {
  const { pair } = makeIdentityKeys()
  const keys = new Map(devices.map(({ id }) => [id, makeIdentityKeys(pair)]))
  const each = <T>(of: (keys: ReturnType<typeof makeIdentityKeys>) => T) =>
    new Map(Array.from(keys, ([id, own]) => [id, of(own)]))
  return {
    sessionId: undefined,
    recoveryPassword: undefined,
    number: '',
    registrationLock: undefined,
    pniIdentityKey: pair.publicKey.serialize(),
    copies: [],
    signedPreKeys: each(({ signedPreKey }) => signedOf(signedPreKey)),
    lastResortKeys: each(({ lastResortPreKey }) => signedOf(lastResortPreKey as never)),
    registrationIds: each(({ registrationId }) => registrationId),
  }
}

const copyFor = (registrationId: number, content: Uint8Array = Buffer.from('keys')) => ({
  ...{ type: 1, deviceId: 2, registrationId, content },
})

test('an account has another number and its PNI, new keys, and its other device knows', async (t) => {
  const { rules, people, withLinked, change, proofOf } = await open(t)
  const [ada] = await people(1)
  const account = await withLinked(ada!)
  const number = newNumber()
  const heard: unknown[] = []
  const queue = queueOf(account, deviceOf(account, 2)!)
  rules.queues.listen(queue, (event) => heard.push(event.type))
  const fields = changeOf(account)
  const changed = await change(account, { ...fields, ...(await proofOf(number)), copies: [copyFor(22)] })
  assert.ok(changed.kind === 'changed')
  const now = numbered((await rules.accounts.find(account.aci))!)
  assert.deepEqual([now.aci, now.e164, now.pni], [account.aci, number, changed.account.pni])
  assert.notEqual(now.pni, account.pni)
  assert.equal(await rules.accounts.find(account.pni), undefined)
  assert.equal((await rules.accounts.find(now.pni))?.aci, account.aci)
  assert.deepEqual(Buffer.from(now.pniIdentityKey), Buffer.from(fields.pniIdentityKey))
  for (const { id, pniRegistrationId, registrationId } of now.devices) {
    assert.equal(pniRegistrationId, fields.registrationIds.get(id))
    assert.equal(registrationId, deviceOf(account, id)?.registrationId)
  }
  const taken = await rules.keys.take(
    { kind: 'device', device: { aci: now.aci, deviceId: 1 } },
    now.pni,
    undefined,
  )
  assert.ok(taken.kind === 'taken')
  assert.deepEqual(
    taken.devices.map(({ deviceId, signedEc }) => [deviceId, signedEc.keyId]),
    Array.from(fields.signedPreKeys, ([id, { keyId }]) => [id, keyId]),
  )
  assert.deepEqual(heard, ['message'])
  const [message] = await rules.queues.page(queue, 0, 10)
  const envelope = Envelope.decode(message!.envelope)
  assert.deepEqual(Buffer.from(envelope.updatedPni), uuidToBytes(uuidOf(now.pni)))
  assert.equal(envelope.updatedPniText, uuidOf(now.pni))
  assert.deepEqual(
    [envelope.sourceServiceIdText, envelope.sourceDevice, envelope.destinationServiceIdText],
    [account.aci, 1, account.aci],
  )
  assert.ok(envelope.urgent)
  assert.ok(await rules.accounts.authenticate({ username: ada!.aci, password: PASSWORD }))
})

test('whoever had the number is deleted, and their ACI waits at the number left behind', async (t) => {
  const { rules, people, changeTo, registerWith } = await open(t)
  const [ada, boris] = await people(2)
  let sentAway = 0
  rules.queues.listenToDevice({ aci: boris!.aci, deviceId: 1 }, () => sentAway++)
  rules.queues.listenToDevice({ aci: ada!.aci, deviceId: 1 }, () => assert.fail('Ada stays'))
  assert.equal((await changeTo(ada!, boris!.e164)).kind, 'changed')
  assert.equal(sentAway, 1)
  assert.equal(await rules.accounts.find(boris!.aci), undefined)
  assert.equal((await rules.accounts.find(boris!.pni))?.aci, ada!.aci)
  assert.equal(await rules.accounts.formerAci(boris!.pni), undefined)
  const back = await registerWith(ada!.e164, {})
  assert.ok(back.kind === 'registered')
  assert.deepEqual([back.account.aci, back.account.pni], [boris!.aci, ada!.pni])
})

test('the same number wants no proof of it, and has new keys', async (t) => {
  const { rules, people, change } = await open(t)
  const [ada] = await people(1)
  const fields = changeOf(ada!)
  const changed = await change(ada!, { ...fields, number: ada!.e164, sessionId: 'x' })
  assert.ok(changed.kind === 'changed')
  assert.deepEqual([changed.account.pni, changed.account.e164], [ada!.pni, ada!.e164])
  const now = await rules.accounts.find(ada!.pni)
  assert.deepEqual(Buffer.from(now!.pniIdentityKey!), Buffer.from(fields.pniIdentityKey))
  assert.deepEqual(
    rules.limited.filter((taken) => taken === `registration: ${ada!.e164}`).length,
    1,
    'it was registered',
  )
})

test('a number is not changed in the first hour after each registration', async (t) => {
  const { rules, people, person, changeTo } = await open(t)
  const [ada] = await people(1)
  rules.clock.advance(-1)
  await assert.rejects(changeTo(ada!, newNumber()), refusedAs('rate-limited'))
  rules.clock.advance(1)
  assert.equal((await changeTo(ada!, newNumber())).kind, 'changed')
  const boris = await person(newNumber())
  await assert.rejects(changeTo(boris, newNumber()), refusedAs('rate-limited'))
})

test('R3: a session changes a number once, and only the number that it proved', async (t) => {
  const { people, verified, change } = await open(t)
  const [ada, boris] = await people(2)
  const number = newNumber()
  const sessionId = await verified(number)
  assert.equal((await change(ada!, { number: newNumber(), sessionId })).kind, 'foreign-session')
  assert.equal((await change(ada!, { number, sessionId: 'nobody' })).kind, 'unverified')
  assert.equal((await change(ada!, { number, sessionId })).kind, 'changed')
  assert.equal((await change(boris!, { number, sessionId })).kind, 'unverified')
})

test('the recovery password of a number proves it, too, and ends with its holder', async (t) => {
  const { rules, people, change, registerWith } = await open(t)
  const recoveryPassword = randomBytes(32)
  const number = newNumber()
  const holder = await registerWith(number, { recoveryPassword })
  assert.ok(holder.kind === 'registered')
  const [ada] = await people(1)
  const wrong = { number, recoveryPassword: randomBytes(32) }
  assert.equal((await change(ada!, wrong)).kind, 'recovery-refused')
  assert.equal((await change(ada!, { number, recoveryPassword })).kind, 'changed')
  assert.equal(await rules.accounts.find(holder.account.aci), undefined)
  const evidence = { sessionId: undefined, recoveryPassword }
  assert.equal((await rules.numberProof.prove(number, evidence)).kind, 'recovery-refused')
})

test('the lock of whoever has the number holds', async (t) => {
  const { rules, people, changeTo, registerWith } = await open(t)
  const number = newNumber()
  const holder = await registerWith(number, { registrationLock: TOKEN })
  assert.ok(holder.kind === 'registered')
  const [ada] = await people(1)
  assert.equal((await changeTo(ada!, number)).kind, 'locked')
  const { aci } = holder.account
  assert.equal(await rules.accounts.authenticate({ username: aci, password: PASSWORD }), undefined)
  assert.equal((await rules.accounts.find(aci))?.e164, number)
  assert.equal((await changeTo(ada!, number, { registrationLock: TOKEN })).kind, 'changed')
})

test('what does not fit the devices is told, and nothing is changed', async (t) => {
  const { rules, people, withLinked, change, verified } = await open(t)
  const [ada] = await people(1)
  const account = await withLinked(ada!)
  const number = newNumber()
  const sessionId = await verified(number)
  const told = async (fields: Partial<NumberChange>) => {
    const changed = await change(account, { number, sessionId, ...fields })
    if (changed.kind !== 'mismatched') return changed.kind
    return [changed.missing, changed.extra, changed.stale]
  }
  const good = changeOf(account)
  const short = new Map([[1, good.registrationIds.get(1)!]])
  assert.deepEqual(await told({ copies: [copyFor(23)] }), [[], [], [2]])
  assert.deepEqual(await told({ copies: [{ ...copyFor(22), deviceId: 3 }] }), [[2], [3], []])
  assert.deepEqual(await told({ copies: [copyFor(22, Buffer.alloc(96 * 1024 + 1))] }), 'too-large')
  assert.deepEqual(await told({ registrationIds: short }), [[2], [], []])
  assert.deepEqual(
    await told({
      signedPreKeys: new Map([...good.signedPreKeys, [9, good.signedPreKeys.get(1)!]]),
      pniIdentityKey: good.pniIdentityKey,
      lastResortKeys: good.lastResortKeys,
    }),
    [[], [9], []],
  )
  const foreign = changeOf(account)
  await assert.rejects(
    told({ ...good, number, sessionId, signedPreKeys: foreign.signedPreKeys }),
    refusedAs('invalid', 'devicePniSignedPrekeys'),
  )
  await assert.rejects(
    told({ ...good, number, sessionId, lastResortKeys: foreign.lastResortKeys }),
    refusedAs('invalid', 'devicePniPqLastResortPrekeys'),
  )
  await assert.rejects(told({ recoveryPassword: Buffer.alloc(32) }), refusedAs('invalid', 'sessionId'))
  await assert.rejects(told({ number: '+1' }), refusedAs('invalid', 'number'))
  const linked = rules.changeNumber.change({ aci: account.aci, deviceId: 2 }, { ...good, number, sessionId })
  await assert.rejects(linked, refusedAs('forbidden'))
  assert.equal((await rules.accounts.find(account.aci))?.e164, ada!.e164)
  assert.equal(await told({ ...good, number, sessionId }), 'changed')
})

test('keys of the old number that arrive meanwhile are not handed out for the new one', async (t) => {
  const { rules, person, change, proofOf } = await open(t)
  const keys = newKeys()
  const account = await person(newNumber(), keys)
  rules.clock.advance(WAITING_PERIOD_MS)
  const device = { aci: account.aci, deviceId: 1 }
  const kem = makeOneTimeKeys(keys.pni.pair, 100).kyber.map((key) => signedOf(key as never))
  const hold = rules.sql.hold(/FROM deleted_accounts/)
  const changing = change(account, await proofOf(newNumber()))
  await hold.reached
  const uploading = rules.keys.store(device, 'pni', { kem })
  hold.release()
  await assert.rejects(uploading, refusedAs('invalid', 'identityKey'))
  assert.equal((await changing).kind, 'changed')
  assert.deepEqual(await rules.keys.count(device, 'pni'), { ec: 0, kem: 0 })
})

test('of two accounts that change to one number at once, one has it, and the other is as it was or gone', async (t) => {
  const { rules, people, change, proofOf } = await open(t)
  for (let round = 0; round < 8; round++) {
    const [ada, boris] = await people(2)
    const number = newNumber()
    const [one, other] = [await proofOf(number), await proofOf(number)]
    const both = await Promise.all([change(ada!, one), change(boris!, other)])
    assert.deepEqual(
      both.map(({ kind }) => kind),
      ['changed', 'changed'],
    )
    const left = [await rules.accounts.find(ada!.aci), await rules.accounts.find(boris!.aci)].filter(Boolean)
    assert.deepEqual(
      left.map((account) => account!.e164),
      [number],
    )
    const holder = await rules.accounts.find(left[0]!.pni!)
    assert.equal(holder?.aci, left[0]!.aci)
  }
})

test('a change of number and a registration of it at once leave one account with it', async (t) => {
  const { rules, people, change, proofOf, verified, register } = await open(t)
  const turns = async (count: number) => {
    for (let turn = 0; turn < count; turn++) await new Promise(setImmediate)
  }
  const race = fc.asyncProperty(fc.nat(30), fc.nat(30), async (beforeChange, beforeRegistration) => {
    const [ada] = await people(1)
    const number = newNumber()
    const request = registrationOf(await verified(number), newKeys())
    const proof = await proofOf(number)
    const [changed, registered] = await Promise.all([
      turns(beforeChange).then(() => change(ada!, proof)),
      turns(beforeRegistration).then(() => register(number, request, 'other')),
    ])
    assert.deepEqual([changed.kind, registered.kind], ['changed', 'registered'])
    const pni = await rules.accounts.pniOf(number)
    const holders = await rules.sql.read('SELECT aci FROM accounts WHERE e164 = $1', [number])
    assert.equal(holders.length, 1)
    const account = (await rules.accounts.find(pni))!
    assert.equal(account.e164, number)
    const taken = await rules.keys.take(
      { kind: 'device', device: { aci: account.aci, deviceId: 1 } },
      pni,
      undefined,
    )
    assert.ok(taken.kind === 'taken')
    assert.deepEqual(Buffer.from(taken.identityKey), Buffer.from(account.pniIdentityKey!))
  })
  await fc.assert(race, { numRuns: 20 })
})

test('an invite lets an account have a number that nobody has, and no other', async (t) => {
  const { rules, change } = await open(t, { registration: { mode: 'closed' } })
  const { accounts, invites, verification } = rules
  const settle = async () => {
    const e164 = newNumber() as E164
    const account = sampleAccount({ e164, pni: await accounts.pniOf(e164) })
    assert.ok(await accounts.put(account, []))
    return account
  }
  const [ada, bob, gone] = [await settle(), await settle(), await settle()]
  rules.clock.advance(WAITING_PERIOD_MS)
  const byInvite = async (number: E164) => {
    const opened = await verification.open(number)
    assert.ok(opened.kind === 'opened')
    const { id } = opened.session
    const { digits } = await invites.create({ uses: 1, days: 1, number, note: '' })
    await verification.requestCode(id, 'sms')
    const answered = await verification.submitCode(id, digits!)
    assert.ok(answered.kind === 'ok' && answered.session.verified)
    return { number, sessionId: id }
  }
  const free = newNumber() as E164
  const early = await byInvite(free)
  const changed = await change(ada, await byInvite(free))
  assert.ok(changed.kind === 'changed')
  assert.equal(changed.account.e164, free)
  // The session is from when nobody had the number.
  assert.equal((await change(bob, early)).kind, 'unverified')
  assert.equal((await accounts.find(bob.aci))?.e164, bob.e164)
  const usesLeft = (await invites.list()).map((invite) => invite.usesLeft)
  assert.deepEqual(usesLeft.sort(), [0, 1])
  // Nobody learns by an invite whose the number was.
  await accounts.delete(gone.aci)
  assert.equal((await change(bob, await byInvite(gone.e164))).kind, 'changed')
  assert.equal(await accounts.formerAci(bob.pni), undefined)
})
