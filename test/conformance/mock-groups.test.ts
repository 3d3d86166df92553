// Groups as the phone of @signalapp/mock-server uses them: other code than ours on the client's side, on a libsignal of its own.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Https } from '../client/https.ts'
import { MockPerson } from '../client/mock-primary.ts'
import { MockRules } from '../client/mock-rules.ts'
import { type MockGroup, mock, mockZk } from '../client/mock-server.ts'
import { HTTP_VERSIONS } from '../client/net.ts'
import { register } from '../client/register.ts'
import { Constellation } from '../constellation.ts'

const ADMINISTRATOR = 2
const DEFAULT = 1

let server: Constellation
let rules: MockRules
before(async () => {
  server = await Constellation.open()
  const { serverSecretParams } = await server.secrets()
  rules = new MockRules(serverSecretParams.serialize())
})
after(() => server.close())

const aciOf = ({ account }: MockPerson) => account.aci.getServiceIdString()
const pniOf = ({ account }: MockPerson) => account.pni.getServiceIdString()
const membersOf = (group: MockGroup) =>
  group.state.members.map(({ userId, role }) => [group.decryptServiceId(userId), role])
const invitedOf = (group: MockGroup) =>
  group.state.membersPendingProfileKey.map(({ member }) => group.decryptServiceId(member!.userId))

/** Of two servers' groups and changes: without versions of joining, which mock-server does not keep, and times. */
const comparable = (message: object): unknown =>
  JSON.parse(
    JSON.stringify(message, (name, value) => {
      if (['joinedAtVersion', 'timestamp'].includes(name)) return undefined
      if (typeof value === 'bigint') return String(value)
      return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value
    }),
  )

function timerOf({ secretParams, state }: MockGroup): number | undefined {
  const secrets = new mockZk.GroupSecretParams(secretParams.serialize())
  const blob = new mockZk.ClientZkGroupCipher(secrets).decryptBlob(state.disappearingMessagesTimer)
  return mock.Proto.GroupAttributeBlob.decode(blob).content?.disappearingMessagesDuration
}

for (const httpVersion of HTTP_VERSIONS)
  describe(`groups of a phone of mock-server over HTTP/${httpVersion}`, () => {
    let chat: Https
    let storage: Https
    let [ada, bob, cyd]: MockPerson[] = []
    before(async () => {
      chat = Https.open(server.ready, httpVersion)
      storage = Https.open(server.ready, httpVersion, 'storage')
      const person = async () =>
        MockPerson.open({ ready: server.ready, chat, storage, rules }, await register(server))
      ;[ada, bob, cyd] = [await person(), await person(), await person()]
    })
    after(async () => {
      await chat[Symbol.asyncDispose]()
      await storage[Symbol.asyncDispose]()
    })

    /**
     * The last change that the server signed for them is this one, of this group, by this service id; it says what
     * mock-server's own server would have, and the group is what that would have made of it.
     */
    function wasSigned(person: MockPerson, group: MockGroup, action: string, author = aciOf(person)) {
      const { actions: last, theirs } = person.signed.at(-1)!
      assert.deepEqual(comparable(last), comparable(theirs.actions))
      assert.deepEqual(comparable(group.state), comparable(theirs.state))
      assert.equal(last.version, group.revision)
      assert.equal(Buffer.from(last.groupId).toString('base64'), group.id)
      assert.equal(group.decryptServiceId(last.sourceUserId), author)
      const empty = (value: unknown) => value === null || (Array.isArray(value) && value.length === 0)
      const named = Object.keys(mock.EMPTY_GROUP_ACTIONS)
        .filter((name) => !['version', 'groupId', 'sourceUserId'].includes(name))
        .filter((name) => !empty(last[name]))
      assert.deepEqual(named, [action])
    }

    test('what its phone creates, others read whom it let in', async () => {
      const group = await ada!.create('a title', [bob!])
      const expected = [
        [aciOf(ada!), ADMINISTRATOR],
        [aciOf(bob!), ADMINISTRATOR],
      ]
      for (const who of [ada!, bob!]) {
        const seen = await who.refresh(group)
        assert.deepEqual([seen.title, seen.revision], ['a title', 0])
        assert.deepEqual(membersOf(seen), expected)
      }
      await assert.rejects(cyd!.refresh(group), /403/)
    })

    test('its phone sets the timer, and its group a title', async () => {
      const group = await ada!.create('a title', [bob!])
      const timed = await ada!.setTimer(group, 3600)
      wasSigned(ada!, timed, 'modifyDisappearingMessageTimer')
      assert.equal(timed.revision, 1)
      assert.equal(timerOf(timed), 3600)
      const title = timed.encryptBlob({ content: { title: 'another title' } })
      const titled = await bob!.change(timed, { modifyTitle: { title } })
      wasSigned(bob!, titled, 'modifyTitle')
      assert.deepEqual([titled.title, titled.revision], ['another title', 2])
      assert.equal(timerOf(titled), 3600)
    })

    test('who is invited by ACI accepts by the profile key', async () => {
      const group = await ada!.create('a title')
      const invited = await ada!.invite(group, bob!, 'ACI')
      wasSigned(ada!, invited, 'addMembersPendingProfileKey')
      assert.deepEqual(invitedOf(invited), [aciOf(bob!)])
      const joined = await bob!.acceptByProfileKey(invited)
      wasSigned(bob!, joined, 'promoteMembersPendingProfileKey')
      assert.deepEqual(membersOf(joined).at(-1), [aciOf(bob!), DEFAULT])
      assert.deepEqual(invitedOf(joined), [])
    })

    test('who is invited by PNI accepts, and is then known by ACI', async () => {
      const group = await ada!.create('a title')
      const invited = await ada!.invite(group, cyd!, 'PNI')
      wasSigned(ada!, invited, 'addMembersPendingProfileKey')
      assert.deepEqual(invitedOf(invited), [pniOf(cyd!)])
      const joined = await cyd!.acceptByPni(invited)
      wasSigned(cyd!, joined, 'promoteMembersPendingPniAciProfileKey', pniOf(cyd!))
      assert.deepEqual(membersOf(joined).at(-1), [aciOf(cyd!), DEFAULT])
      assert.deepEqual(invitedOf(joined), [])
    })

    test('who is invited may decline', async () => {
      const group = await ada!.create('a title')
      const invited = await ada!.invite(group, bob!, 'ACI')
      const deletedUserId = invited.encryptServiceId(aciOf(bob!))
      // The one who declined may not read the group any more.
      const declined = { deleteMembersPendingProfileKey: [{ deletedUserId }] }
      await bob!.refresh(invited)
      await assert.rejects(bob!.change(invited, declined), /403/)
      const after = await ada!.refresh(group)
      wasSigned(bob!, after, 'deleteMembersPendingProfileKey')
      assert.deepEqual([invitedOf(after), membersOf(after).length], [[], 1])
    })

    test('a member is removed, and does not see the group any more', async () => {
      const group = await ada!.create('a title', [bob!, cyd!])
      const deletedUserId = group.encryptServiceId(aciOf(bob!))
      const after = await ada!.change(group, { deleteMembers: [{ deletedUserId }] })
      wasSigned(ada!, after, 'deleteMembers')
      assert.equal(after.getMemberByServiceId(aciOf(bob!)), undefined)
      assert.equal(after.state.members.length, 2)
      await assert.rejects(bob!.refresh(group), /403/)
    })

    test('its phone meets a conflict when somebody was there before', async () => {
      const group = await ada!.create('a title', [bob!])
      await ada!.setTimer(group, 60)
      await assert.rejects(bob!.setTimer(group, 120), /Group update conflict/)
      const after = await bob!.setTimer(await bob!.refresh(group), 120)
      assert.deepEqual([after.revision, timerOf(after)], [2, 120])
    })

    test('a group ends, and takes no change then', async () => {
      const group = await ada!.create('a title', [bob!])
      const ended = await ada!.change(group, { terminateGroup: {} })
      wasSigned(ada!, ended, 'terminateGroup')
      assert.equal(ended.state.terminated, true)
      await assert.rejects(bob!.setTimer(ended, 60), /403/)
    })
  })
