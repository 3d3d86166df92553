// Groups (signal-api §2.15.2, §2.15.3) as clients built on libsignal's zkgroup use them, over both versions of HTTP.
import assert from 'node:assert/strict'
import { createHmac, randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import {
  AccessControl_AccessRequired as Access,
  type Group,
  Member_Role as Role,
} from '../../wire/gen/groups.js'
import { GroupClient } from '../client/group-client.ts'
import { GroupPerson } from '../client/group-person.ts'
import { GroupSender, readAsMember } from '../client/group-sender.ts'
import { Https } from '../client/https.ts'
import { HTTP_VERSIONS } from '../client/net.ts'
import { fetchSenderCertificate } from '../client/sender-certificate.ts'
import { SignalClient } from '../client/signal-client.ts'
import { Constellation } from '../constellation.ts'

const SIZE = 50
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

let server: Constellation
let chat: Https
let clients: SignalClient[]
let people: GroupPerson[]
before(async () => {
  server = await Constellation.open()
  chat = Https.open(server.ready, 2)
  clients = []
  for (let at = 0; at < SIZE; at++) clients.push(await SignalClient.create(server))
  people = await Promise.all(clients.map(({ account }) => GroupPerson.open(server.ready, chat, account)))
})
after(async () => {
  for (const client of clients) await client.disconnect()
  await chat[Symbol.asyncDispose]()
  await server.close()
})

const nameOf = ({ account }: GroupPerson) => account.aci.getServiceIdString()
const membersOf = (group: GroupClient, { members }: Group) => members.map(({ userId }) => group.whose(userId))
const password = () => new Uint8Array(randomBytes(16))

for (const httpVersion of HTTP_VERSIONS)
  describe(`groups over HTTP/${httpVersion}`, () => {
    let https: Https
    let [ada, bob, cyd, dee]: GroupPerson[] = []
    before(() => {
      https = Https.open(server.ready, httpVersion, 'storage')
      ;[ada, bob, cyd, dee] = people
    })
    after(() => https[Symbol.asyncDispose]())

    async function newGroup(others: readonly GroupPerson[] = [], title = 'a title'): Promise<GroupClient> {
      const group = new GroupClient(ada!, https)
      assert.equal((await group.create(title, others)).status, 200)
      return group
    }

    /** With a link that lets people in, or has them ask. */
    async function linkedGroup(addFromInviteLinkAccess: number) {
      const group = await newGroup()
      const inviteLinkPassword = password()
      await group.changeNow({
        modifyAddFromInviteLinkAccess: { addFromInviteLinkAccess },
        modifyInviteLinkPassword: { inviteLinkPassword },
      })
      return { group, link: inviteLinkPassword }
    }

    test('a group of fifty is created, and everybody in it sees the same', async () => {
      const group = new GroupClient(ada!, https)
      const created = await group.create('all of us', people.slice(1))
      assert.ok(created.status === 200 && created.body.group)
      const state = created.body.group
      assert.deepEqual([state.version, group.titleOf(state)], [0, 'all of us'])
      assert.deepEqual(membersOf(group, state), people.map(nameOf))
      for (const member of state.members)
        assert.deepEqual([member.presentation.length, member.joinedAtVersion], [0, 0])
      const roles = state.members.map(({ role }) => role)
      assert.deepEqual(roles, [Role.ADMINISTRATOR, ...Array(SIZE - 1).fill(Role.DEFAULT)])
      const last = group.as(people.at(-1)!)
      assert.deepEqual(await last.state(), state)
      assert.equal((await group.create('again')).status, 409)
      assert.deepEqual(await last.state(), state)
    })

    test('the profile keys in a group are those that its members showed', async () => {
      const group = await newGroup([bob!])
      const { members } = await group.as(bob!).state()
      for (const [at, person] of [ada!, bob!].entries()) {
        const expected = group.cipher.encryptProfileKey(person.profile.key, person.account.aci).serialize()
        assert.deepEqual(Buffer.from(members[at]!.profileKey), Buffer.from(expected))
      }
    })

    test('who is invited sees the group, accepts with a profile key, and is a member from then on', async () => {
      const group = await newGroup()
      const invited = await group.changeNow({
        addMembersPendingProfileKey: [group.invited(group.idOf(bob!), Role.ADMINISTRATOR)],
      })
      const [added] = invited.signed.addMembersPendingProfileKey
      assert.equal(group.whose(added!.added!.addedByUserId), nameOf(ada!))
      assert.ok(Math.abs(added!.added!.timestamp - Date.now()) < HOUR_MS)
      const bobs = group.as(bob!)
      const before = await bobs.get()
      assert.ok(before.status === 200)
      assert.equal(before.body.groupSendEndorsementsResponse.length, 0)
      assert.equal((await bobs.logs(1)).status, 403)
      const presentation = bobs.presentation(bob!)
      const accepted = await bobs.changeNow({ promoteMembersPendingProfileKey: [{ presentation }] })
      assert.equal(group.whose(accepted.signed.sourceUserId), nameOf(bob!))
      const [promoted] = accepted.signed.promoteMembersPendingProfileKey
      assert.deepEqual(Buffer.from(promoted!.userId), Buffer.from(group.idOf(bob!)))
      const state = await group.state()
      assert.deepEqual(membersOf(group, state), [nameOf(ada!), nameOf(bob!)])
      assert.deepEqual(state.membersPendingProfileKey, [])
      assert.equal(state.members[1]!.role, Role.ADMINISTRATOR)
      const joined = await bobs.joinedAtVersion()
      assert.ok(joined.status === 200)
      assert.equal(joined.body.joinedAtVersion, 2)
      bobs.endorsed(accepted.groupSendEndorsementsResponse, state)
    })

    test('who is invited by phone number identity becomes a member under the account’s own', async () => {
      const group = await newGroup()
      await group.changeNow({ addMembersPendingProfileKey: [group.invited(group.pniOf(bob!))] })
      const bobs = group.as(bob!)
      const presentation = bobs.presentation(bob!)
      const accepted = await bobs.changeNow({ promoteMembersPendingPniAciProfileKey: [{ presentation }] })
      const [promoted] = accepted.signed.promoteMembersPendingPniAciProfileKey
      assert.equal(group.whose(promoted!.pni), bob!.account.pni.getServiceIdString())
      assert.deepEqual(membersOf(group, await group.state()), [nameOf(ada!), nameOf(bob!)])
    })

    test('roles, title and access change, each with a signature that says who did it', async () => {
      const group = await newGroup([bob!, cyd!])
      const bobs = group.as(bob!)
      const raised = await group.changeNow({
        modifyMemberRoles: [{ userId: group.idOf(bob!), role: Role.ADMINISTRATOR }],
        modifyAttributesAccess: { attributesAccess: Access.ADMINISTRATOR },
      })
      assert.equal(group.whose(raised.signed.sourceUserId), nameOf(ada!))
      const title = bobs.blob({ title: 'another title' })
      const renamed = await bobs.changeNow({ modifyTitle: { title } })
      assert.equal(group.whose(renamed.signed.sourceUserId), nameOf(bob!))
      assert.equal(group.titleOf(renamed.signed.modifyTitle!), 'another title')
      const refused = await group.as(cyd!).change({ version: 3, modifyTitle: { title } })
      assert.equal(refused.status, 403)
      const state = await group.as(cyd!).state()
      assert.deepEqual([state.version, group.titleOf(state)], [2, 'another title'])
      assert.throws(() => bobs.verified({ ...renamed.groupChange!, actions: raised.groupChange!.actions }))
    })

    test('a link lets people in', async () => {
      const { group, link } = await linkedGroup(Access.ANY)
      const bobs = group.as(bob!)
      const told = await bobs.joinInfo(link)
      assert.ok(told.status === 200)
      const { memberCount, addFromInviteLink, version, pendingAdminApproval } = told.body
      assert.deepEqual([memberCount, addFromInviteLink, version], [1, Access.ANY, 1])
      assert.deepEqual([group.titleOf(told.body), pendingAdminApproval], ['a title', false])
      const added = bobs.member(bob!)
      const joined = await bobs.changeNow({ version: version + 1, addMembers: [{ added }] }, link)
      assert.equal(joined.signed.addMembers[0]!.joinFromInviteLink, true)
      assert.equal(joined.signed.addMembers[0]!.added!.joinedAtVersion, 2)
      bobs.endorsed(joined.groupSendEndorsementsResponse, await bobs.state())
    })

    test('a link has people ask, who are let in or not', async () => {
      const { group, link } = await linkedGroup(Access.ADMINISTRATOR)
      const [bobs, cyds] = [group.as(bob!), group.as(cyd!)]
      for (const asking of [bobs, cyds]) {
        const info = await asking.joinInfo(link)
        assert.ok(info.status === 200)
        const presentation = asking.presentation(asking.person)
        const asked = await asking.changeNow(
          { version: info.body.version + 1, addMembersPendingAdminApproval: [{ added: { presentation } }] },
          link,
        )
        assert.equal(asked.groupSendEndorsementsResponse.length, 0)
        assert.equal((await asking.get()).status, 403)
        const waits = await asking.joinInfoOfRequester()
        assert.ok(waits.status === 200)
        assert.equal(waits.body.pendingAdminApproval, true)
      }
      const role = Role.DEFAULT
      const promoted = await group.changeNow({
        promoteMembersPendingAdminApproval: [{ userId: group.idOf(bob!), role }],
      })
      assert.ok(promoted.groupSendEndorsementsResponse.length > 0)
      await group.changeNow({ deleteMembersPendingAdminApproval: [{ deletedUserId: group.idOf(cyd!) }] })
      assert.deepEqual(membersOf(group, await bobs.state()), [nameOf(ada!), nameOf(bob!)])
      assert.equal((await cyds.joinInfoOfRequester()).status, 403)
    })

    test('who is banned is told so, and so is nobody else', async () => {
      const { group, link } = await linkedGroup(Access.ANY)
      await group.changeNow({ addMembersBanned: [{ added: { userId: group.idOf(bob!) } }] })
      const bobs = group.as(bob!)
      for (const reply of [await bobs.joinInfo(link), await bobs.joinInfoOfRequester()]) {
        assert.equal(reply.status, 403)
        assert.equal(reply.headers?.['x-signal-forbidden-reason'], 'banned')
      }
      const { version } = await group.state()
      const added = bobs.member(bob!)
      assert.equal((await bobs.change({ version: version + 1, addMembers: [{ added }] }, link)).status, 403)
      const wrong = await group.as(cyd!).joinInfo(password())
      assert.equal(wrong.status, 403)
      assert.equal(wrong.headers?.['x-signal-forbidden-reason'], undefined)
      await group.changeNow({ deleteMembersBanned: [{ deletedUserId: group.idOf(bob!) }] })
      assert.equal((await bobs.joinInfo(link)).status, 200)
    })

    test('who leaves or is removed sees nothing more; who is left without administrators is one', async () => {
      const group = await newGroup([bob!, cyd!])
      const cyds = group.as(cyd!)
      const removed = await group.changeNow({ deleteMembers: [{ deletedUserId: group.idOf(cyd!) }] })
      assert.ok(removed.groupSendEndorsementsResponse.length > 0)
      for (const reply of [await cyds.get(), await cyds.joinedAtVersion(), await cyds.logs(0)])
        assert.equal(reply.status, 403)
      const left = await group.changeNow({ deleteMembers: [{ deletedUserId: group.idOf(ada!) }] })
      assert.equal(left.groupSendEndorsementsResponse.length, 0)
      const [raised] = left.signed.modifyMemberRoles
      assert.equal(group.whose(raised!.userId), nameOf(bob!))
      assert.equal((await group.get()).status, 403)
      const state = await group.as(bob!).state()
      assert.deepEqual(
        state.members.map(({ role }) => role),
        [Role.ADMINISTRATOR],
      )
    })

    test('the log tells every change to who was a member then, in pages', async () => {
      const group = await newGroup()
      for (let at = 0; at < 66; at++)
        await group.changeNow({ version: at + 1, modifyTitle: { title: group.blob({ title: `${at}` }) } })
      await group.changeNow({ addMembers: [{ added: group.member(bob!) }] })
      const first = await group.logs(0)
      assert.ok(first.status === 206)
      assert.equal(first.headers?.['content-range'], 'versions 0-63/67')
      assert.equal(first.body.groupSendEndorsementsResponse.length, 0)
      assert.equal(first.body.groupChanges.length, 64)
      for (const [at, { groupChange, groupState }] of first.body.groupChanges.entries()) {
        assert.equal(groupState, null)
        if (at > 0) assert.equal(group.verified(groupChange!).version, at)
      }
      const next = await group.logs(64, { includeFirstState: true, includeLastState: true })
      assert.ok(next.status === 200)
      const versions = next.body.groupChanges.map(({ groupChange }) => group.verified(groupChange!).version)
      assert.deepEqual(versions, [64, 65, 66, 67])
      const states = next.body.groupChanges.map(({ groupState }) => groupState?.version)
      assert.deepEqual(states, [64, undefined, undefined, 67])
      group.endorsed(next.body.groupSendEndorsementsResponse, await group.state())
      const few = await group.logs(3, { limit: 2 })
      assert.equal(few.headers?.['content-range'], 'versions 3-4/67')
      const beyond = await group.logs(68)
      assert.ok(beyond.status === 200)
      assert.equal(beyond.body.groupChanges.length, 0)
      const bobs = group.as(bob!)
      assert.equal((await bobs.logs(66)).status, 403)
      const own = await bobs.logs(67)
      assert.ok(own.status === 200)
      assert.equal(own.body.groupChanges.length, 1)
      assert.equal((await group.logs(0, {}, null)).status, 400)
    })

    test('endorsements come with the log when members changed, or those that a client has expire soon', async () => {
      const group = await newGroup()
      await group.changeNow({ modifyTitle: { title: group.blob({ title: 'x' }) } })
      const endorsedWith = async (from: number, cachedMs: number) => {
        const page = await group.logs(from, {}, Math.floor(cachedMs / 1000))
        assert.ok(page.status === 200)
        return page.body.groupSendEndorsementsResponse.length > 0
      }
      const later = Date.now() + 7 * HOUR_MS
      assert.equal(await endorsedWith(1, later), false)
      assert.equal(await endorsedWith(1, Date.now() + 5 * HOUR_MS), true)
      assert.equal(await endorsedWith(1, 0), true)
      await group.changeNow({ addMembers: [{ added: group.member(bob!) }] })
      assert.equal(await endorsedWith(1, later), true)
    })

    test('a client too old for a change is told what the group became', async () => {
      const group = await newGroup([bob!])
      await group.changeNow({ modifyDescription: { description: group.blob({ descriptionText: 'new' }) } })
      await group.changeNow({ modifyTitle: { title: group.blob({ title: 'x' }) } })
      const kindsOf = async (maxSupportedChangeEpoch: number | undefined) => {
        const page = await group.logs(1, { maxSupportedChangeEpoch })
        assert.ok(page.status === 200)
        return page.body.groupChanges.map((one) => [one.groupChange !== null, one.groupState?.version])
      }
      assert.deepEqual(await kindsOf(0), [
        [false, 1],
        [true, undefined],
      ])
      assert.deepEqual(await kindsOf(undefined), [
        [true, 1],
        [true, 2],
      ])
    })

    test('a message to the group goes to all by one send, with a token of its endorsements', async () => {
      const group = await newGroup(people.slice(1), 'everybody')
      const state = await group.state()
      const fetched = await group.get()
      assert.ok(fetched.status === 200)
      const endorsed = group.endorsed(fetched.body.groupSendEndorsementsResponse, state)
      const holdsMs = endorsed.expiration.getTime() - Date.now()
      assert.equal(endorsed.expiration.getTime() % DAY_MS, 0)
      assert.ok(holdsMs >= 6 * HOUR_MS - 60_000 && holdsMs <= 30 * HOUR_MS)
      const [sender, ...others] = clients
      const writes = new GroupSender(sender!.account)
      for (const other of others) await writes.add(sender!.link.unauth, other)
      const distribution = await writes.distribution()
      const certificate = await fetchSenderCertificate(sender!.link.auth)
      const payload = await writes.seal('to the whole group', certificate)
      const auth = endorsed.tokenFor(others.map(({ aci }) => aci))
      const timestamp = sender!.nextTimestamp()
      const common = { payload, timestamp, onlineOnly: false, urgent: true }
      const { unauth } = sender!.link
      const sent = await unauth.sendMultiRecipientMessage({ ...common, auth })
      assert.deepEqual(sent.unregisteredIds, [])
      for (const reader of [others[0]!, others.at(-1)!]) {
        const { envelope } = await reader.unreadable.next()
        const read = await readAsMember(reader.account, distribution, envelope.content)
        assert.deepEqual(read, { text: 'to the whole group', from: nameOf(ada!) })
      }
      const tooFew = endorsed.tokenFor(others.slice(1).map(({ aci }) => aci))
      await assert.rejects(unauth.sendMultiRecipientMessage({ ...common, auth: tooFew }))
    })

    test('a group that is terminated is still seen, and nothing else can be done with it', async () => {
      const { group, link } = await linkedGroup(Access.ANY)
      const ended = await group.changeNow({ terminateGroup: {} })
      assert.ok(ended.signed.terminateGroup)
      const { version, terminated } = await group.state()
      assert.equal(terminated, true)
      const title = group.blob({ title: 'back again' })
      assert.equal((await group.change({ version: version + 1, modifyTitle: { title } })).status, 403)
      assert.equal((await group.as(bob!).joinInfo(link)).status, 403)
      assert.equal((await group.avatarForm()).status, 403)
      const token = await group.token()
      assert.ok(token.status === 200)
      assert.equal(token.body.token.split(':')[4], '0')
      const log = await group.logs(version, { maxSupportedChangeEpoch: 6 })
      assert.ok(log.status === 200)
      const [last] = log.body.groupChanges
      assert.deepEqual([last?.groupChange, last?.groupState?.terminated], [null, true])
    })

    test('paths may end with a slash, as some clients write them, and those of old are gone', async () => {
      const group = await newGroup()
      const headers = { authorization: group.authorization }
      for (const path of ['/v2/groups/', '/v2/groups/token/', '/v2/groups/joined_at_version/'])
        assert.equal((await https.call('GET', path, { headers })).status, 200, path)
      assert.equal((await https.call('GET', '/v1/groups', { headers })).status, 404)
      const type = (await https.call('GET', '/v2/groups', { headers })).headers['content-type']
      assert.equal(type, 'application/x-protobuf')
    })

    test('twenty who write at once all succeed in the end, one for each version', async () => {
      const writers = people.slice(0, 20)
      const group = await newGroup(writers.slice(1))
      const tries = await Promise.all(
        writers.map(async (writer) => {
          const own = group.as(writer)
          const title = own.blob({ title: nameOf(writer) })
          let version = 1
          for (let attempt = 1; ; attempt++) {
            const reply = await own.change({ version, modifyTitle: { title } })
            if (reply.status === 200) {
              assert.ok(reply.body.groupSendEndorsementsResponse.length > 0)
              return { attempt, version, signed: own.verified(reply.body.groupChange!) }
            }
            assert.ok(reply.status === 409)
            assert.ok(reply.body.version >= version)
            assert.equal(reply.body.members.length, writers.length)
            version = reply.body.version + 1
          }
        }),
      )
      const versions = tries.map(({ version }) => version).sort((a, b) => a - b)
      assert.deepEqual(
        versions,
        writers.map((_, at) => at + 1),
      )
      assert.ok(tries.some(({ attempt }) => attempt > 1))
      const page = await group.logs(0)
      assert.ok(page.status === 200)
      const told = page.body.groupChanges.slice(1).map(({ groupChange }) => group.verified(groupChange!))
      const expected = tries.toSorted((a, b) => a.version - b.version).map(({ signed }) => signed)
      assert.deepEqual(told, expected)
      assert.equal((await group.state()).version, writers.length)
    })

    test('whoever may change how a group looks gets a form for its avatar', async () => {
      const group = new GroupClient(ada!, https)
      const id = Buffer.from(group.groupId).toString('base64url')
      const early = await group.avatarForm()
      assert.ok(early.status === 200)
      assert.match(early.body.key, new RegExp(`^groups/${id}/[-_A-Za-z0-9]{22}$`))
      assert.deepEqual([early.body.acl, early.body.algorithm], ['private', 'AWS4-HMAC-SHA256'])
      const policy = JSON.parse(Buffer.from(early.body.policy, 'base64').toString('utf8'))
      assert.ok(
        policy.conditions.some(
          (one: unknown[]) => one[0] === 'content-length-range' && one[2] === 3 * 1024 ** 2,
        ),
      )
      await group.create('a title', [bob!])
      assert.equal((await group.as(bob!).avatarForm()).status, 200)
      assert.equal((await group.as(cyd!).avatarForm()).status, 403)
      await group.changeNow({ modifyAvatar: { avatar: early.body.key } })
      await group.changeNow({ modifyAttributesAccess: { attributesAccess: Access.ADMINISTRATOR } })
      assert.equal((await group.as(bob!).avatarForm()).status, 403)
      assert.equal((await group.avatarForm()).status, 200)
    })

    test('a token for calls names the member and the group to nobody, and says who may start one', async () => {
      const group = await newGroup([bob!])
      const tokenOf = async (who: GroupClient) => {
        const reply = await who.token()
        assert.ok(reply.status === 200)
        return reply.body.token.split(':')
      }
      const [version, user, id, seconds, starts, signature] = await tokenOf(group)
      const digest = await crypto.subtle.digest('SHA-256', group.idOf(ada!))
      assert.deepEqual([version, user, starts], ['2', Buffer.from(digest).toString('hex'), '1'])
      assert.equal(id, Buffer.from(group.groupId).toString('hex'))
      assert.ok(Math.abs(Number(seconds) - Date.now() / 1000) < 60)
      const { groupTokenSecret } = await server.secrets()
      const hmac = createHmac('sha256', groupTokenSecret).update(`2:${user}:${id}:${seconds}:1`).digest('hex')
      assert.equal(signature, hmac.slice(0, 20))
      await group.changeNow({ modifyAnnouncementsOnly: { announcementsOnly: true } })
      assert.equal((await tokenOf(group))[4], '1')
      assert.equal((await tokenOf(group.as(bob!)))[4], '0')
      assert.equal((await group.as(dee!).token()).status, 403)
      assert.equal((await new GroupClient(dee!, https).token()).status, 404)
    })
  })
