// C2, A3: groups and credentials that are not what they say, people without the right, changes that come late or again.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import {
  GroupSecretParams,
  ServerSecretParams,
  ServerZkAuthOperations,
} from '@signalapp/libsignal-client/dist/zkgroup/index.js'
import type { SqlRow } from '../../server/kit/sql/sql.ts'
import { UnexpectedStatus } from '../../wire/client.ts'
import {
  AccessControl_AccessRequired as Access,
  GroupChange_Actions as Actions,
  Group,
  type GroupChange_ActionsInit,
  type GroupInit,
  Member_Role as Role,
} from '../../wire/gen/groups.js'
import { MAX_GROUP_BYTES } from '../../wire/limits.ts'
import { actionsOf, GroupClient } from '../client/group-client.ts'
import { GroupPerson } from '../client/group-person.ts'
import { basic, Https } from '../client/https.ts'
import { register } from '../client/register.ts'
import { DAY_SECONDS, publicParamsOf, receiveGroup, startOfDay } from '../client/week.ts'
import { Constellation } from '../constellation.ts'

const MAX_SIZE = 5
const PROTOBUF = { 'content-type': 'application/x-protobuf' }

let server: Constellation
let https: Https
let [ada, bob, cyd, dee, eve]: GroupPerson[] = []
before(async () => {
  server = await Constellation.open({ config: { groups: { maxSize: MAX_SIZE, maxTitleBytes: 200 } } })
  https = Https.open(server.ready, 2)
  const open = async () => GroupPerson.open(server.ready, https, await register(server))
  ;[ada, bob, cyd, dee, eve] = await Promise.all([open(), open(), open(), open(), open()])
})
after(async () => {
  await https[Symbol.asyncDispose]()
  await server.close()
})

type Asked = Promise<{ readonly status: number }>

async function statusOf(asked: Asked): Promise<number> {
  try {
    return (await asked).status
  } catch (error) {
    if (error instanceof UnexpectedStatus) return error.reply.status
    throw error
  }
}

/** Ada's, with Bob in it, Cyd invited, Dee removed. Eve is nobody there. At version 2. */
async function newGroup() {
  const group = new GroupClient(ada!, https)
  assert.equal((await group.create('a title', [bob!, dee!])).status, 200)
  await group.changeNow({ version: 1, addMembersPendingProfileKey: [group.invited(group.idOf(cyd!))] })
  await group.changeNow({ version: 2, deleteMembers: [{ deletedUserId: group.idOf(dee!) }] })
  return group
}

/** The next version of a group that is at `version`. */
const titled = (group: GroupClient, version = 2): GroupChange_ActionsInit => ({
  version: version + 1,
  modifyTitle: { title: group.blob({ title: 'taken over' }) },
})

/** Every route, asked with a header of somebody's making. */
async function everywhere(group: GroupClient, authorization: string | undefined): Promise<number[]> {
  const headers = { ...PROTOBUF, ...(authorization !== undefined && { authorization }) }
  const change = Actions.encode(titled(group)).finish()
  const proposal = Group.encode(group.proposal('mine')).finish()
  const calls = [
    https.call('GET', '/v2/groups', { headers }),
    https.call('PUT', '/v2/groups', { headers, body: proposal }),
    https.call('PATCH', '/v2/groups', { headers, body: change }),
    https.call('GET', '/v2/groups/joined_at_version', { headers }),
    https.call('GET', '/v2/groups/logs/0', { headers: { ...headers, 'cached-send-endorsements': '0' } }),
    https.call('GET', '/v2/groups/join', { headers }),
    https.call('GET', '/v2/groups/join/AAAAAAAAAAAAAAAAAAAAAA', { headers }),
    https.call('GET', '/v2/groups/avatar/form', { headers }),
    https.call('GET', '/v2/groups/token', { headers }),
  ]
  return (await Promise.all(calls)).map(({ status }) => status)
}

/** What the storage holds of all groups. */
async function kept(): Promise<SqlRow[]> {
  const rows: SqlRow[] = []
  await https[Symbol.asyncDispose]()
  await server.restart(async (sql) => {
    rows.push(...(await sql.read('SELECT * FROM group_states ORDER BY group_id')))
    rows.push(...(await sql.read('SELECT * FROM group_changes ORDER BY group_id, version')))
  })
  https = Https.open(server.ready, 2)
  return rows
}

/** Tries, none of which may leave a trace; each with the status that it should have. */
async function refusals(group: GroupClient, tries: readonly (readonly [string, number, () => Asked])[]) {
  const before = await group.state()
  const answered: [string, number][] = []
  for (const [what, , ask] of tries) answered.push([what, await statusOf(ask())])
  assert.deepEqual(
    answered,
    tries.map(([what, status]) => [what, status]),
  )
  assert.deepEqual(await group.state(), before)
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

test('C2: what proves nothing, or for another group, is 401 everywhere', async () => {
  const group = await newGroup()
  const other = new GroupClient(ada!, https)
  const key = hex(group.publicKey)
  const shown = hex(ada!.show(group.secrets).serialize())
  const flipped = Buffer.from(shown, 'hex')
  flipped[flipped.length - 1]! ^= 1
  const headers: (string | undefined)[] = [
    undefined,
    'Bearer x',
    basic('', ''),
    basic(key, ''),
    basic('', shown),
    basic(key, 'zz'),
    basic(key, hex(randomBytes(shown.length / 2))),
    basic(key, hex(flipped)),
    basic(key, shown.slice(2)),
    basic(key.slice(2), shown),
    basic(key, hex(ada!.show(other.secrets).serialize())),
    basic(hex(other.publicKey), shown),
    basic(ada!.account.aci.getServiceIdString(), ada!.account.password),
  ]
  for (const header of headers)
    assert.deepEqual(await everywhere(group, header), Array(9).fill(401), String(header).slice(0, 40))
  assert.equal((await group.state()).version, 2)
})

test('C2: a credential of a day that is over or to come is 401, one of the days beside this is not', async () => {
  const { serverSecretParams } = await server.secrets()
  const group = await newGroup()
  const params = publicParamsOf(server.ready.keys)
  const { aci, pni } = ada!.account
  const issue = (secrets: ServerSecretParams, day: number) =>
    new ServerZkAuthOperations(secrets).issueAuthCredentialWithPniZkc(aci, pni, day).serialize()
  const today = startOfDay()
  for (const [days, status] of [
    [-7, 401],
    [-3, 401],
    [-1, 200],
    [0, 200],
    [1, 200],
    [3, 401],
  ] as const) {
    const day = today + days * DAY_SECONDS
    const dated = { credential: issue(serverSecretParams, day), redemptionTime: day }
    ada!.keep(day, receiveGroup(dated, ada!.account, params))
    const extra = { authorization: group.authorizationOf(day) }
    const reply = await https.call('GET', '/v2/groups', { headers: extra })
    assert.equal(reply.status, status, `${days} days from today`)
  }
})

test('C2: a credential that another server issued is 401', async () => {
  const group = await newGroup()
  const foreign = ServerSecretParams.generate()
  const { aci, pni } = ada!.account
  const day = startOfDay()
  const operations = new ServerZkAuthOperations(foreign)
  const credential = operations.issueAuthCredentialWithPniZkc(aci, pni, day).serialize()
  const stranger = await GroupPerson.open(server.ready, https, ada!.account)
  const params = { ...publicParamsOf(server.ready.keys), server: foreign.getPublicParams() }
  stranger.keep(day, receiveGroup({ credential, redemptionTime: day }, ada!.account, params))
  assert.deepEqual(await everywhere(group, group.as(stranger).authorization), Array(9).fill(401))
})

test('C2: a key of one’s own with the identifier of somebody else’s group opens nothing, and takes no place', async () => {
  const group = await newGroup()
  const link = new Uint8Array(randomBytes(16))
  await group.changeNow({
    version: 3,
    modifyAddFromInviteLinkAccess: { addFromInviteLinkAccess: Access.ANY },
    modifyInviteLinkPassword: { inviteLinkPassword: link },
  })
  const own = Buffer.from(GroupSecretParams.generate().serialize())
  // A byte that is kept free, the master key, and the identifier.
  Buffer.from(group.groupId).copy(own, 33)
  const secrets = new GroupSecretParams(new Uint8Array(own))
  const before = await kept()
  const forged = new GroupClient(eve!, https, secrets)
  assert.deepEqual(forged.groupId, group.groupId)
  assert.notDeepEqual(forged.publicKey, group.publicKey)
  // Even who knows the link would put somebody in whom no member can read.
  assert.equal((await forged.joinInfo(link)).status, 403)
  const joining = { version: 4, addMembers: [{ added: forged.member(eve!) }] }
  assert.equal((await forged.change(joining, link)).status, 403)
  const statuses = await everywhere(forged, forged.authorization)
  assert.deepEqual(statuses, [403, 409, 403, 403, 403, 403, 403, 403, 403])
  assert.deepEqual(await kept(), before)
})

test('C2, A3: who is no member changes nothing and reads nothing, and who was one no more', async () => {
  const group = await newGroup()
  const before = await kept()
  for (const person of [dee!, eve!]) {
    const theirs = group.as(person, https)
    assert.deepEqual(
      await everywhere(theirs, theirs.authorization),
      [403, 409, 403, 403, 403, 403, 403, 403, 403],
    )
    const added = theirs.member(person)
    const raised = theirs.member(person, Role.ADMINISTRATOR)
    const presentation = theirs.presentation(person)
    const own = theirs.idOf(person)
    const adas = theirs.idOf(ada!)
    const tries: GroupChange_ActionsInit[] = [
      { addMembers: [{ added }] },
      { addMembers: [{ added: raised }] },
      { deleteMembers: [{ deletedUserId: adas }] },
      { modifyMemberRoles: [{ userId: own, role: Role.ADMINISTRATOR }] },
      { addMembersPendingProfileKey: [theirs.invited(own)] },
      { deleteMembersPendingProfileKey: [{ deletedUserId: theirs.idOf(cyd!) }] },
      { addMembersPendingAdminApproval: [{ added: { presentation } }] },
      { addMembersBanned: [{ added: { userId: adas } }] },
      { modifyInviteLinkPassword: { inviteLinkPassword: randomBytes(16) } },
      { modifyAddFromInviteLinkAccess: { addFromInviteLinkAccess: Access.ANY } },
      { terminateGroup: {} },
    ]
    for (const actions of tries) {
      const password = new Uint8Array(16)
      assert.equal(await statusOf(theirs.change({ ...actions, version: 3 }, password)), 403)
    }
  }
  assert.deepEqual(await kept(), before)
})

test('C2: a late change shows the group to who may see it, and to nobody else', async () => {
  const group = await newGroup()
  for (const [person, sees] of [
    [ada!, true],
    [bob!, true],
    [cyd!, true],
    [dee!, false],
    [eve!, false],
  ] as const) {
    const theirs = group.as(person, https)
    for (const version of [0, 1, 2, 4, 2 ** 32 - 1]) {
      const reply = await theirs.change({ ...titled(group), version })
      assert.ok(reply.status === 409)
      assert.deepEqual([reply.body.members.length, reply.body.version], sees ? [2, 2] : [0, 0])
      assert.equal(reply.body.title.length > 0, sees)
    }
  }
  assert.equal((await group.as(ada!, https).state()).version, 2)
})

test('C2: a change that is sent again is late, word for word', async () => {
  const group = (await newGroup()).as(ada!, https)
  const headers = { ...PROTOBUF, authorization: group.authorization }
  const body = Actions.encode(titled(group)).finish()
  const send = async () => (await https.call('PATCH', '/v2/groups', { headers, body })).status
  assert.deepEqual([await send(), await send(), await send()], [200, 409, 409])
  assert.equal((await group.state()).version, 3)
})

test('C2: a profile key that is somebody else’s, or shown for another group, makes no member', async () => {
  const group = (await newGroup()).as(ada!, https)
  const elsewhere = new GroupClient(ada!, https)
  const cyds = group.as(cyd!)
  const bobs = group.as(bob!)
  const change = (who: GroupClient, actions: GroupChange_ActionsInit) => () =>
    who.change({ ...actions, version: 3 })
  const adding = (presentation: Uint8Array) => ({
    addMembers: [{ added: { role: Role.DEFAULT, presentation } }],
  })
  const broken = new Uint8Array(group.presentation(eve!))
  broken[100]! ^= 1
  const promote = (presentation: Uint8Array) => ({ promoteMembersPendingProfileKey: [{ presentation }] })
  await refusals(group, [
    ['of another group', 400, change(group, adding(elsewhere.presentation(eve!)))],
    ['spoilt', 400, change(group, adding(broken))],
    ['none', 400, change(group, adding(new Uint8Array()))],
    ['random', 400, change(group, adding(randomBytes(721)))],
    ['somebody else’s, to accept an invitation', 403, change(cyds, promote(cyds.presentation(eve!)))],
    ['of another group, to accept', 400, change(cyds, promote(elsewhere.presentation(cyd!)))],
    [
      'somebody else’s, as one’s own new profile key',
      403,
      change(bobs, { modifyMemberProfileKeys: [{ presentation: bobs.presentation(ada!) }] }),
    ],
    [
      'two, from who is no member',
      403,
      change(cyds, {
        promoteMembersPendingProfileKey: [
          { presentation: cyds.presentation(cyd!) },
          { presentation: cyds.presentation(eve!) },
        ],
      }),
    ],
  ])
})

test('A3: a member without the right is 403, and what only the server says is not taken from a client', async () => {
  const group = (await newGroup()).as(ada!, https)
  const bobs = group.as(bob!)
  const change = (who: GroupClient, actions: GroupChange_ActionsInit) => () =>
    who.change({ version: 3, ...actions })
  const presentation = bobs.presentation(bob!)
  const [own, adas] = [group.idOf(bob!), group.idOf(ada!)]
  await refusals(group, [
    ['raise oneself', 403, change(bobs, { modifyMemberRoles: [{ userId: own, role: Role.ADMINISTRATOR }] })],
    ['remove another', 403, change(bobs, { deleteMembers: [{ deletedUserId: adas }] })],
    [
      'open the attributes',
      403,
      change(bobs, { modifyAttributesAccess: { attributesAccess: Access.MEMBER } }),
    ],
    ['ban', 403, change(bobs, { addMembersBanned: [{ added: { userId: adas } }] })],
    ['terminate', 403, change(bobs, { terminateGroup: {} })],
    ['name the group', 400, change(bobs, { ...titled(group), groupId: group.groupId })],
    [
      'name whose profile key it is',
      400,
      change(bobs, { modifyMemberProfileKeys: [{ presentation, userId: adas }] }),
    ],
    [
      'say how somebody came in',
      400,
      change(bobs, { addMembers: [{ added: bobs.member(eve!), joinFromInviteLink: true }] }),
    ],
    ['nothing at all', 400, change(bobs, {})],
  ])
  const said = await bobs.changeNow({
    version: 3,
    sourceUserId: adas,
    addMembers: [{ added: { ...bobs.member(eve!), joinedAtVersion: 1 } }],
  })
  assert.equal(group.whose(said.signed.sourceUserId), bob!.account.aci.getServiceIdString())
  assert.equal(said.signed.addMembers[0]!.added!.joinedAtVersion, 3)
  assert.equal((await group.as(eve!).logs(2)).status, 403)
})

test('C2: the log of before is closed to who came later, came back, or waits', async () => {
  const group = (await newGroup()).as(ada!, https)
  const dees = group.as(dee!)
  assert.equal((await dees.logs(0)).status, 403)
  await group.changeNow({ version: 3, addMembers: [{ added: group.member(dee!) }] })
  for (const from of [0, 1, 2]) assert.equal((await dees.logs(from)).status, 403)
  const own = await dees.logs(3, { includeFirstState: true })
  assert.ok(own.status === 200)
  assert.deepEqual(
    own.body.groupChanges.map(({ groupState }) => groupState?.version),
    [3],
  )
  for (const from of [0, 2, 3]) assert.equal((await group.as(cyd!).logs(from)).status, 403)
})

test('A3: a group that nobody made is nowhere, and one that is wrong is not made', async () => {
  const group = new GroupClient(ada!, https)
  for (const reply of [
    await group.get(),
    await group.joinedAtVersion(),
    await group.logs(0),
    await group.token(),
  ])
    assert.equal(reply.status, 404)
  assert.equal((await group.joinInfo(new Uint8Array(16))).status, 404)
  assert.equal((await group.change(titled(group, 0))).status, 400)
  const good = group.proposal('a title', [bob!])
  const [own, bobs] = good.members!
  const create = async (spoilt: GroupInit) => {
    const headers = { ...PROTOBUF, authorization: group.authorization }
    return (
      await https.call('PUT', '/v2/groups', { headers, body: Group.encode({ ...good, ...spoilt }).finish() })
    ).status
  }
  const before = await kept()
  assert.equal(await create({ version: 1 }), 400)
  assert.equal(await create({ title: new Uint8Array() }), 400)
  assert.equal(await create({ title: randomBytes(201) }), 400)
  assert.equal(await create({ publicKey: new GroupClient(ada!, https).publicKey }), 403)
  assert.equal(await create({ members: [bobs!] }), 400)
  assert.equal(await create({ members: [{ ...own, role: Role.DEFAULT }, bobs!] }), 400)
  assert.equal(await create({ members: [own!, own!] }), 400)
  assert.equal(await create({ members: [own!, { userId: group.idOf(bob!), role: Role.DEFAULT }] }), 400)
  assert.equal(await create({ terminated: true }), 400)
  assert.deepEqual(await kept(), before)
  assert.equal(await create({}), 200)
})

test('a group is no larger than allowed, and neither is what it is made of or a request', async () => {
  const group = (await newGroup()).as(ada!, https)
  const two = [{ added: group.member(dee!) }, { added: group.member(eve!) }]
  const full = { version: 3, addMembers: two }
  // Bob, Cyd invited, and these two are five with Ada.
  const invited = (count: number) =>
    Array.from({ length: count }, () => group.invited(new Uint8Array([0, ...randomBytes(64)])))
  const tries: GroupChange_ActionsInit[] = [
    { ...full, addMembersPendingProfileKey: invited(1) },
    { version: 3, addMembersPendingProfileKey: invited(3) },
    { version: 3, addMembers: Array(MAX_SIZE + 1).fill(two[0]) },
    { version: 3, modifyTitle: { title: randomBytes(201) } },
    { version: 3, modifyDescription: { description: randomBytes(8193) } },
  ]
  await refusals(
    group,
    tries.map((actions, at) => [`try ${at}`, 400, () => group.change(actions)]),
  )
  assert.equal((await group.change(full)).status, 200)
  const headers = { ...PROTOBUF, authorization: group.authorization }
  const sized = async (bytes: number) =>
    (await https.call('PATCH', '/v2/groups', { headers, body: Buffer.alloc(bytes, 0xff) })).status
  assert.deepEqual([await sized(MAX_GROUP_BYTES), await sized(MAX_GROUP_BYTES + 1)], [422, 413])
})

test('a field that nobody knows is refused at any depth: it would be stored and signed', async () => {
  const group = (await newGroup()).as(ada!, https)
  const headers = { ...PROTOBUF, authorization: group.authorization }
  const good = Buffer.from(Actions.encode(titled(group)).finish())
  // Field 99 is 1; the same inside field 10, which is the title.
  const unknown = Buffer.of(0x98, 0x06, 0x01)
  const patch = async (...more: Buffer[]) =>
    (await https.call('PATCH', '/v2/groups', { headers, body: Buffer.concat([good, ...more]) })).status
  assert.equal(await patch(unknown), 400)
  assert.equal(await patch(Buffer.of(0x52, unknown.length), unknown), 400)
  const other = new GroupClient(ada!, https)
  const proposal = Buffer.from(Group.encode(other.proposal('a title')).finish())
  const put = async (body: Buffer) => {
    const extra = { ...PROTOBUF, authorization: other.authorization }
    return (await https.call('PUT', '/v2/groups', { headers: extra, body })).status
  }
  assert.equal(await put(Buffer.concat([proposal, unknown])), 400)
  assert.deepEqual([await patch(), await put(proposal)], [200, 200])
})

test('a change that is spoilt in any byte is refused, or is another change and no more', async () => {
  const group = (await newGroup()).as(ada!, https)
  const headers = { ...PROTOBUF, authorization: group.authorization }
  const good = async (version: number) =>
    Actions.encode(
      actionsOf({
        ...titled(group, version),
        addMembersPendingProfileKey: [group.invited(new Uint8Array([0, ...randomBytes(64)]))],
        modifyMemberRoles: [{ userId: group.idOf(bob!), role: Role.DEFAULT }],
      }),
    ).finish()
  let { version } = await group.state()
  const seen = new Map<number, number>()
  for (let round = 0; round < 200; round++) {
    const body = Buffer.from(await good(version))
    body[round % body.length]! ^= 1 << (round % 8)
    if (round % 5 === 0) body[(round * 7) % body.length] = round
    const { status } = await https.call('PATCH', '/v2/groups', { headers, body })
    assert.ok([200, 400, 403, 409, 422].includes(status), `${status} in round ${round}`)
    seen.set(status, (seen.get(status) ?? 0) + 1)
    const state = await group.state()
    assert.equal(state.version, status === 200 ? version + 1 : version)
    assert.ok(state.members.length + state.membersPendingProfileKey.length <= MAX_SIZE)
    version = state.version
  }
  assert.ok((seen.get(400) ?? 0) > 0 && (seen.get(422) ?? 0) > 0)
})
