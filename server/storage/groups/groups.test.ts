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
import { UPLOAD_KEYS } from '../../../test/files/rules.ts'
import { GroupChange_Actions as Actions, Group } from '../../../wire/gen/groups.js'
import { ManualClock } from '../../kit/clock.ts'
import { PostPolicy } from '../../kit/post-policy.ts'
import { systemRandom } from '../../kit/random.ts'
import { Refusal } from '../../kit/refusal.ts'
import { migrate } from '../../kit/sql/migrate.ts'
import { UploadKeyRing } from '../../kit/upload-keys.ts'
import { GroupAvatarSweep } from './avatar-sweep.ts'
import { DoubtfulAvatarStore } from './doubtful-avatar-store.ts'
import { GroupAvatars } from './group-avatars.ts'
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
  const doubtful = new DoubtfulAvatarStore(sql)
  const removed: string[] = []
  const objects = { delete: async (key: string) => void removed.push(key) }
  const policy = new PostPolicy(UploadKeyRing.of(UPLOAD_KEYS), clock)
  return {
    ...{ clock, prover, sql, doubtful, removed },
    groups: new Groups({ store, doubtful, visits, prover, clock, limits, events }),
    avatars: new GroupAvatars({ visits, policy, random: systemRandom, clock, doubtful }),
    avatarSweep: new GroupAvatarSweep({ groups: store, doubtful, clock, objects, onBug }),
  }
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

const pictured = (version: number, avatar: string) =>
  Actions.decode(Actions.encode({ version, modifyAvatar: { avatar } }).finish())

test('a picture that the group leaves is removed after a day, and one that it names never', async (t) => {
  const { clock, groups, avatars, avatarSweep, removed } = await openGroups(t)
  const ada = administrator()
  await groups.create(ada.credentials(), ada.proposal())
  const [first, second] = [await avatars.form(ada.credentials()), await avatars.form(ada.credentials())]
  const name = async (version: number, key: string) =>
    assert.equal((await groups.change(ada.credentials(), pictured(version, key), undefined)).kind, 'changed')
  const sweepAfter = async (ms: number) => {
    clock.set(clock.nowMs() + ms)
    await avatarSweep.sweep()
    return removed.splice(0)
  }
  await name(1, first.key)
  await name(2, second.key)
  await name(3, second.key)
  assert.deepEqual(await sweepAfter(DAY_MS), [])
  assert.deepEqual(await sweepAfter(HOUR_MS), [first.key])
  assert.deepEqual(await sweepAfter(60 * DAY_MS), [], 'what is named stays')
  clock.set(TODAY_MS + DAY_MS)
  await name(4, '')
  assert.deepEqual(await sweepAfter(2 * DAY_MS), [second.key])
  assert.deepEqual(await sweepAfter(60 * DAY_MS), [], 'once')
})

test('a picture that no change ever names is removed, one whose change comes late or that comes back is not', async (t) => {
  const { clock, groups, avatars, avatarSweep, removed } = await openGroups(t)
  const ada = administrator()
  const form = async () => (await avatars.form(ada.credentials())).key
  const [fromTheStart, never, late, back] = [await form(), await form(), await form(), await form()]
  const group = Group.decode(Group.encode({ ...ada.proposal(), avatarUrl: fromTheStart! }).finish())
  assert.equal((await groups.create(ada.credentials(), group)).kind, 'created')
  const name = (version: number, key: string) =>
    groups.change(ada.credentials(), pictured(version, key), undefined)
  await name(1, back!)
  await name(2, fromTheStart!)
  await name(3, back!)
  clock.set(clock.nowMs() + DAY_MS)
  await name(4, late!)
  clock.set(clock.nowMs() + HOUR_MS)
  await avatarSweep.sweep()
  assert.deepEqual(removed.splice(0).sort(), [fromTheStart!, never!].sort(), 'the others were named of late')
  await name(5, back!)
  clock.set(clock.nowMs() + 30 * DAY_MS)
  await avatarSweep.sweep()
  assert.deepEqual(removed.splice(0), [late!])
})

test('while a picture is being removed no change names it, and what could not be removed is tried again', async (t) => {
  const { clock, groups, avatars, doubtful, avatarSweep, removed } = await openGroups(t)
  const ada = administrator()
  await groups.create(ada.credentials(), ada.proposal())
  const { key } = await avatars.form(ada.credentials())
  clock.set(clock.nowMs() + DAY_MS + HOUR_MS)
  const groupId = ada.group.getPublicParams().getGroupIdentifier().serialize()
  assert.ok(await doubtful.claim({ groupId, objectKey: key }, clock.nowMs()))
  const outcome = await groups.change(ada.credentials(), pictured(1, key), undefined)
  assert.equal(outcome.kind, 'conflict')
  assert.equal((await groups.get(ada.credentials())).group.version, 0, 'nothing of it was kept')
  await avatarSweep.sweep()
  assert.deepEqual(removed, [key], 'what a crash left claimed')
})
