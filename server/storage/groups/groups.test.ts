import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Aci, Pni } from '@signalapp/libsignal-client'
import {
  ClientZkAuthOperations,
  ClientZkGroupCipher,
  ClientZkProfileOperations,
  GroupSecretParams,
  GroupSendEndorsementsResponse,
  ProfileKey,
  ServerSecretParams,
  ServerZkAuthOperations,
  ServerZkProfileOperations,
} from '@signalapp/libsignal-client/dist/zkgroup/index.js'
import { freshEngine } from '../../../test/engines.ts'
import { GroupChange_Actions as Actions, Group } from '../../../wire/gen/groups.js'
import { ManualClock } from '../../kit/clock.ts'
import { Refusal } from '../../kit/refusal.ts'
import { migrate } from '../../kit/sql/migrate.ts'
import { Groups } from './groups.ts'
import { Prover } from './prover.ts'
import { GroupStore } from './store.ts'
import { Visits } from './visits.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const TODAY_MS = Date.UTC(2026, 7, 20)
const secrets = ServerSecretParams.generate()
const params = secrets.getPublicParams()
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

/** An administrator of a group, whose credentials are of today; the profile key's expires in a week. */
function administrator(group = GroupSecretParams.generate()) {
  const [aci, pni] = [Aci.fromUuid(randomUUID()), Pni.fromUuid(randomUUID())]
  const day = TODAY_MS / 1000
  const response = new ServerZkAuthOperations(secrets).issueAuthCredentialWithPniZkc(aci, pni, day)
  const auth = new ClientZkAuthOperations(params)
  const credential = auth.receiveAuthCredentialWithPniAsServiceId(aci, pni, day, response)
  const key = new ProfileKey(new Uint8Array(32))
  const profiles = new ClientZkProfileOperations(params)
  const context = profiles.createProfileKeyCredentialRequestContext(aci, key)
  const issued = new ServerZkProfileOperations(secrets).issueExpiringProfileKeyCredential(
    context.getRequest(),
    aci,
    key.getCommitment(aci),
    day + 7 * 86_400,
  )
  const profile = profiles.receiveExpiringProfileKeyCredential(context, issued, new Date(TODAY_MS))
  const cipher = new ClientZkGroupCipher(group)
  return {
    ...{ aci, group, cipher },
    credentials: () => ({
      username: hex(group.getPublicParams().serialize()),
      password: hex(auth.createAuthCredentialWithPniPresentation(group, credential).serialize()),
    }),
    proposal: () =>
      Group.decode(
        Group.encode({
          publicKey: group.getPublicParams().serialize(),
          title: cipher.encryptBlob(new Uint8Array(9)),
          accessControl: { attributes: 2, members: 2, addFromInviteLink: 4 },
          members: [
            {
              role: 2,
              presentation: profiles
                .createExpiringProfileKeyCredentialPresentation(group, profile)
                .serialize(),
            },
          ],
        }).finish(),
      ),
  }
}

const titled = (version: number) =>
  Actions.decode(Actions.encode({ version, modifyTitle: { title: new Uint8Array(7) } }).finish())

/** Finds no thread free for one sort of work. */
class BusyProver extends Prover {
  busyWith: 'sign' | 'endorse' | undefined

  override async sign(bytes: Uint8Array) {
    if (this.busyWith === 'sign') throw new Refusal('unavailable')
    return super.sign(bytes)
  }
  override async endorse(members: readonly Uint8Array[]) {
    if (this.busyWith === 'endorse') throw new Refusal('unavailable')
    return super.endorse(members)
  }
}

async function openGroups(t: TestContext) {
  const clock = new ManualClock(TODAY_MS)
  const bugs: unknown[] = []
  const sql = await (await freshEngine('sqlite', t))!()
  await migrate(sql, 'storage', join(import.meta.dirname, '../migrations'), 0)
  const onBug = (bug: unknown) => void bugs.push(bug)
  const prover = new BusyProver({ secrets: { serverSecretParams: secrets }, clock, onBug })
  t.after(async () => {
    await prover.close()
    assert.deepEqual(bugs, [])
  })
  const store = new GroupStore(sql)
  const visits = new Visits(store, prover)
  const limits = { maxGroupSize: 10, maxTitleBytes: 100, maxDescriptionBytes: 100 }
  const events = { groupCreated: () => {}, groupChanged: () => {} }
  return { clock, prover, groups: new Groups({ store, visits, prover, clock, limits, events }) }
}

const refusal = (kind: Refusal['kind']) => (error: unknown) => error instanceof Refusal && error.kind === kind

test('C2: a credential holds from a day before its day to two days after its beginning', async (t) => {
  const { clock, groups } = await openGroups(t)
  const ada = administrator()
  await groups.create(ada.credentials(), ada.proposal())
  const atMs = async (ms: number) => {
    clock.set(TODAY_MS + ms)
    return groups.get(ada.credentials()).then(
      () => true,
      (error) => refusal('invalid-credentials')(error) && false,
    )
  }
  assert.equal(await atMs(-DAY_MS - 1000), false)
  assert.equal(await atMs(-DAY_MS), true)
  assert.equal(await atMs(2 * DAY_MS), true)
  assert.equal(await atMs(2 * DAY_MS + 1000), false)
})

test('C2: the credential of a profile key that has expired makes nobody a member', async (t) => {
  const { clock, prover } = await openGroups(t)
  const ada = administrator()
  const publicKey = ada.group.getPublicParams().serialize()
  const { presentation } = ada.proposal().members[0]!
  const shownAt = async (ms: number) => {
    clock.set(ms)
    return (await prover.profileKeys(publicKey, [presentation]))(presentation)
  }
  const shown = await shownAt(TODAY_MS + 7 * DAY_MS - 1000)
  assert.deepEqual(shown?.userId, ada.cipher.encryptServiceId(ada.aci).serialize())
  assert.equal(await shownAt(TODAY_MS + 7 * DAY_MS), undefined)
  assert.equal((await prover.profileKeys(publicKey, []))(presentation), undefined)
})

test('at every hour of the day clients take the endorsements that they are given', async (t) => {
  const { clock, groups } = await openGroups(t)
  const ada = administrator()
  await groups.create(ada.credentials(), ada.proposal())
  for (const hour of [0, 6, 17, 18, 19, 23]) {
    clock.set(TODAY_MS + hour * HOUR_MS + 1)
    const { endorsements } = await groups.get(ada.credentials())
    const received = new GroupSendEndorsementsResponse(endorsements!)
    received.receiveWithServiceIds([ada.aci], ada.aci, ada.group, params, new Date(clock.nowMs()))
    assert.ok(received.getExpiration().getTime() - clock.nowMs() >= 6 * HOUR_MS)
  }
})

test('a change for which no thread is free is not made, and neither is a group', async (t) => {
  const { groups, prover } = await openGroups(t)
  const ada = administrator()
  prover.busyWith = 'endorse'
  await assert.rejects(groups.create(ada.credentials(), ada.proposal()), refusal('unavailable'))
  await assert.rejects(groups.get(ada.credentials()), refusal('not-found'))
  prover.busyWith = undefined
  await groups.create(ada.credentials(), ada.proposal())
  for (const work of ['sign', 'endorse'] as const) {
    prover.busyWith = work
    await assert.rejects(groups.change(ada.credentials(), titled(1), undefined), refusal('unavailable'))
  }
  prover.busyWith = undefined
  assert.equal((await groups.get(ada.credentials())).group.version, 0)
  assert.equal((await groups.change(ada.credentials(), titled(1), undefined)).kind, 'changed')
})
