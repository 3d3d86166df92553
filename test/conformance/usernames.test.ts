// Usernames: reserved, confirmed, linked and found, by libsignal's typed calls and by REST (signal-api §2.5).
import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import * as LS from '@signalapp/libsignal-client'
import { Accounts, AccountsAnonymous } from '../../wire/gen/account.js'
import { GrpcClient } from '../client/grpc.ts'
import { authorizationOf, Https } from '../client/https.ts'
import { HTTP_VERSIONS, openNet, type UnauthChat } from '../client/net.ts'
import { register } from '../client/register.ts'
import { fetchJson } from '../client/rest.ts'
import { SignalClient } from '../client/signal-client.ts'
import { Constellation } from '../constellation.ts'
import { type Name, nameOf } from '../username.ts'

const MANY = { bucket: 10_000 }
const [OK, INVALID_ARGUMENT] = [0, 3]
let server: Constellation
before(async () => {
  server = await Constellation.open({
    config: { limits: { usernameLinkOperation: MANY, usernameLookup: MANY } },
  })
})
after(() => server.close())

const SWITCHES = [
  'grpc.AccountsAnonymousLookupUsernameHash',
  'grpc.AccountsAnonymousLookupUsernameLink.2',
  'grpc.AccountsAnonymousCheckAccountExistence.2',
] as const

let names = 0
/** A name that nobody in this process has had before. */
const newName = (): Name => nameOf(`somebody_${names++}`)
const url = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url')
const isCode = (code: LS.ErrorCode) => (error: unknown) => LS.LibSignalErrorBase.is(error, code)
const linkTo = ({ username }: Name) => LS.usernames.createUsernameLink(username)

for (const httpVersion of HTTP_VERSIONS)
  describe(`usernames over HTTP/${httpVersion}`, () => {
    let client: SignalClient
    let https: Https
    before(async () => {
      client = await SignalClient.create(server, { httpVersion, oneTimeKeys: 0 })
      https = Https.open(server.ready, httpVersion)
    })
    after(async () => {
      await client.disconnect()
      await https[Symbol.asyncDispose]()
    })

    /** Inside the socket, as clients on HTTP/1.1 do it. */
    const call = (verb: string, path: string, body?: unknown) =>
      fetchJson(client.link.auth, verb, `/v1/accounts/${path}`, body)
    const reserve = (...wanted: Name[]) =>
      call('PUT', 'username_hash/reserve', { usernameHashes: wanted.map(({ hash }) => url(hash)) })
    const confirm = (name: Name, encryptedUsername?: string) =>
      call('PUT', 'username_hash/confirm', {
        usernameHash: url(name.hash),
        zkProof: url(name.proof),
        encryptedUsername,
      })
    const own = async (name: Name, link = linkTo(name)) => {
      assert.deepEqual((await reserve(name)).json, { usernameHash: url(name.hash) })
      const { status, json } = await confirm(name, url(link.encryptedUsername))
      assert.equal(status, 200)
      return { link, uuid: json.usernameLinkHandle as string }
    }
    const find = (chat: UnauthChat, name: Name) => chat.lookUpUsernameHash({ hash: name.hash })
    const whoami = async () => (await call('GET', 'whoami')).json

    test('a name is reserved, confirmed and found, and its owner sees it', async () => {
      const name = newName()
      const { link, uuid } = await own(name)
      const found = await find(client.link.unauth, name)
      assert.equal(found?.getServiceIdString(), client.aci.getServiceIdString())
      const { usernameHash, usernameLinkHandle } = await whoami()
      assert.deepEqual([usernameHash, usernameLinkHandle], [url(name.hash), uuid])
      const resolved = await client.link.unauth.lookUpUsernameLink({ uuid, entropy: link.entropy })
      assert.deepEqual([resolved?.username, url(resolved!.hash)], [name.username, url(name.hash)])
    })

    test('what nobody has is found by nobody, reserving finds nobody, and who is there is there', async () => {
      const name = newName()
      assert.equal((await reserve(name)).status, 200)
      assert.equal(await find(client.link.unauth, name), null)
      const gone = { uuid: randomUUID(), entropy: linkTo(name).entropy }
      assert.equal(await client.link.unauth.lookUpUsernameLink(gone), null)
      const exists = (account: LS.ServiceId) => client.link.unauth.accountExists({ account })
      assert.equal(await exists(client.aci), true)
      assert.equal(await exists(LS.Aci.fromUuid(randomUUID())), false)
    })

    test('REST answers as its contract says', async () => {
      const [name, taken] = [newName(), newName()]
      const other = await register(server, { httpVersion })
      const headers = authorizationOf(other)
      const json = { usernameHashes: [url(taken.hash)] }
      const path = '/v1/accounts/username_hash/reserve'
      assert.equal((await https.call('PUT', path, { headers, json })).status, 200)
      assert.equal((await reserve(taken)).status, 409)
      assert.deepEqual((await reserve(taken, name)).json, { usernameHash: url(name.hash) })
      assert.equal((await confirm(taken)).status, 409)
      assert.equal((await confirm({ ...name, proof: taken.proof })).status, 422)
      assert.deepEqual((await confirm(name)).json, { usernameHash: url(name.hash), usernameLinkHandle: null })
      const value = url(randomBytes(100))
      const link = await call('PUT', 'username_link', { usernameLinkEncryptedValue: value })
      assert.equal(link.status, 200)
      const handle = link.json.usernameLinkHandle
      const keep = { usernameLinkEncryptedValue: value, keepLinkHandle: true }
      assert.deepEqual((await call('PUT', 'username_link', keep)).json, { usernameLinkHandle: handle })
      const seen = await https.call('GET', `/v1/accounts/username_link/${handle}`)
      assert.deepEqual(seen.json, { usernameLinkEncryptedValue: value, keepLinkHandle: false })
      const owner = await https.call('GET', `/v1/accounts/username_hash/${url(name.hash)}`)
      assert.deepEqual(owner.json, { uuid: client.aci.getServiceIdString() })
      assert.deepEqual(
        [(await call('DELETE', 'username_link')).status, (await whoami()).usernameLinkHandle],
        [204, null],
      )
      assert.equal((await https.call('GET', `/v1/accounts/username_link/${handle}`)).status, 404)
      assert.deepEqual(
        [(await call('DELETE', 'username_hash')).status, (await whoami()).usernameHash],
        [204, null],
      )
      assert.equal((await https.call('GET', `/v1/accounts/username_hash/${url(name.hash)}`)).status, 404)
      assert.equal((await call('PUT', 'username_link', keep)).status, 409)
    })

    test('what breaks the contract is 422', async () => {
      const hash = url(randomBytes(32))
      const proof = url(randomBytes(128))
      const spoilt: [string, object][] = [
        ['username_hash/reserve', { usernameHashes: [] }],
        ['username_hash/reserve', { usernameHashes: Array.from({ length: 21 }, () => hash) }],
        ['username_hash/reserve', { usernameHashes: [url(randomBytes(31))] }],
        ['username_hash/confirm', { usernameHash: hash }],
        ['username_hash/confirm', { usernameHash: hash, zkProof: '' }],
        ['username_hash/confirm', { usernameHash: hash, zkProof: proof, encryptedUsername: '' }],
        [
          'username_hash/confirm',
          { usernameHash: hash, zkProof: proof, encryptedUsername: url(randomBytes(129)) },
        ],
        ['username_link', { usernameLinkEncryptedValue: '' }],
        ['username_link', {}],
      ]
      for (const [path, body] of spoilt)
        assert.equal((await call('PUT', path, body)).status, 422, JSON.stringify(body))
      for (const path of [`username_hash/${url(randomBytes(33))}`, 'username_link/garbage'])
        assert.equal((await https.call('GET', `/v1/accounts/${path}`)).status, 422)
    })

    test('names and links are looked up without credentials only', async () => {
      const headers = authorizationOf(client.account)
      const name = newName()
      const { uuid } = await own(name)
      for (const path of [`username_hash/${url(name.hash)}`, `username_link/${uuid}`]) {
        assert.equal((await https.call('GET', `/v1/accounts/${path}`, { headers })).status, 400)
        assert.equal((await call('GET', path)).status, 400)
        assert.equal((await https.call('GET', `/v1/accounts/${path}`)).status, 200)
      }
    })

    test('after a new registration the name waits for its owner, and the link is as it was', async () => {
      const someone = await SignalClient.create(server, { httpVersion, oneTimeKeys: 0 })
      const name = newName()
      const headers = authorizationOf(someone.account)
      const put = (path: string, as: Readonly<Record<string, string>>, json: object) =>
        https.call('PUT', `/v1/accounts/${path}`, { headers: as, json })
      const link = linkTo(name)
      const confirmation = {
        usernameHash: url(name.hash),
        zkProof: url(name.proof),
        encryptedUsername: url(link.encryptedUsername),
      }
      await put('username_hash/reserve', headers, { usernameHashes: [url(name.hash)] })
      const { usernameLinkHandle: handle } = (await put('username_hash/confirm', headers, confirmation)).json
      await someone.disconnect()
      const again = await register(server, { httpVersion, number: someone.account.number })
      const anew = authorizationOf(again)
      const seen = async () => (await https.call('GET', '/v1/accounts/whoami', { headers: anew })).json
      assert.deepEqual([(await seen()).usernameHash, (await seen()).usernameLinkHandle], [null, handle])
      assert.equal(await find(client.link.unauth, name), null)
      assert.equal((await reserve(name)).status, 409)
      const reclaimed = await put('username_hash/confirm', anew, confirmation)
      assert.deepEqual(reclaimed.json, { usernameHash: url(name.hash), usernameLinkHandle: handle })
      const resolved = await client.link.unauth.lookUpUsernameLink({ uuid: handle, entropy: link.entropy })
      assert.equal(resolved?.username, name.username)
    })
  })

describe("usernames by libsignal's typed calls", () => {
  let client: SignalClient
  let other: SignalClient
  before(async () => {
    client = await SignalClient.create(server, { httpVersion: 2, oneTimeKeys: 0 })
    other = await SignalClient.create(server, { httpVersion: 2, oneTimeKeys: 0 })
  })
  after(async () => {
    await client.disconnect()
    await other.disconnect()
  })

  test('a name lives, is linked anew, and is deleted', async () => {
    const { auth, unauth } = client.link
    const [taken, name] = [newName(), newName()]
    const hashes = [taken.hash, name.hash]
    await other.link.auth.reserveUsernameHash({ usernameHashes: [taken.hash] })
    assert.deepEqual(await auth.reserveUsernameHash({ usernameHashes: hashes }), name.hash)
    const link = linkTo(name)
    const { username } = name
    const uuid = await auth.confirmUsername({ username, usernameCiphertext: link.encryptedUsername })
    const resolved = await unauth.lookUpUsernameLink({ uuid, entropy: link.entropy })
    assert.equal(resolved?.username, username)
    const next = linkTo(name)
    const ciphertext = { usernameCiphertext: next.encryptedUsername }
    assert.equal(await auth.setUsernameLink({ ...ciphertext, keepLinkHandle: true }), uuid)
    const fresh = await auth.setUsernameLink({ ...ciphertext, keepLinkHandle: false })
    assert.notEqual(fresh, uuid)
    assert.equal(await unauth.lookUpUsernameLink({ uuid, entropy: next.entropy }), null)
    assert.equal(
      (await unauth.lookUpUsernameLink({ uuid: fresh, entropy: next.entropy }))?.username,
      username,
    )
    await auth.deleteUsernameLink()
    await auth.deleteUsernameLink()
    assert.equal(await unauth.lookUpUsernameLink({ uuid: fresh, entropy: next.entropy }), null)
    await auth.deleteUsernameHash()
    await auth.deleteUsernameHash()
    assert.equal(await unauth.lookUpUsernameHash({ hash: name.hash }), null)
  })

  test('what cannot be done is told by its own error', async () => {
    const { auth } = client.link
    const name = newName()
    const usernameCiphertext = linkTo(name).encryptedUsername
    await assert.rejects(
      auth.confirmUsername({ username: name.username, usernameCiphertext }),
      isCode(LS.ErrorCode.UsernameReservationNotFound),
    )
    await other.link.auth.reserveUsernameHash({ usernameHashes: [name.hash] })
    await assert.rejects(
      auth.reserveUsernameHash({ usernameHashes: [name.hash] }),
      isCode(LS.ErrorCode.UsernameNotAvailable),
    )
    await auth.deleteUsernameHash()
    await assert.rejects(
      auth.setUsernameLink({ usernameCiphertext, keepLinkHandle: true }),
      isCode(LS.ErrorCode.UsernameNotSet),
    )
  })

  for (const way of ['grpc', 'ws'] as const)
    test(`a name, a link and an account are looked up by ${way}`, async () => {
      const net = openNet(server.ready, 2)
      const settings = new Map(SWITCHES.map((key) => [key, way]))
      net.setRemoteConfig(settings, LS.Net.BuildVariant.Production)
      const chat = (await net.connectUnauthenticatedChat({ onConnectionInterrupted() {} })) as UnauthChat
      const name = newName()
      await client.link.auth.reserveUsernameHash({ usernameHashes: [name.hash] })
      const link = linkTo(name)
      const { username } = name
      const uuid = await client.link.auth.confirmUsername({
        username,
        usernameCiphertext: link.encryptedUsername,
      })
      const found = await chat.lookUpUsernameHash({ hash: name.hash })
      assert.equal(found?.getServiceIdString(), client.aci.getServiceIdString())
      assert.equal(await chat.lookUpUsernameHash({ hash: newName().hash }), null)
      assert.equal((await chat.lookUpUsernameLink({ uuid, entropy: link.entropy }))?.username, username)
      assert.equal(await chat.lookUpUsernameLink({ uuid: randomUUID(), entropy: link.entropy }), null)
      assert.equal(await chat.accountExists({ account: client.aci }), true)
      assert.equal(await chat.accountExists({ account: client.pni }), true)
      assert.equal(await chat.accountExists({ account: LS.Aci.fromUuid(randomUUID()) }), false)
      await chat.disconnect()
    })

  test('gRPC names the field that breaks the contract', async (t) => {
    const grpc = GrpcClient.open(server.ready)
    t.after(() => grpc[Symbol.asyncDispose]())
    const headers = authorizationOf(client.account)
    const hash = randomBytes(32)
    const confirmation = { usernameHash: hash, zkProof: randomBytes(128), usernameCiphertext: randomBytes(9) }
    const { reserveUsernameHash, confirmUsernameHash, setUsernameLink } = Accounts.rpcs
    const { lookupUsernameHash, lookupUsernameLink } = AccountsAnonymous.rpcs
    const answers = await Promise.all([
      grpc.call(reserveUsernameHash, { usernameHashes: [] }, headers),
      grpc.call(reserveUsernameHash, { usernameHashes: Array.from({ length: 21 }, () => hash) }, headers),
      grpc.call(reserveUsernameHash, { usernameHashes: [randomBytes(33)] }, headers),
      grpc.call(confirmUsernameHash, { ...confirmation, usernameHash: randomBytes(1) }, headers),
      grpc.call(confirmUsernameHash, { ...confirmation, zkProof: undefined }, headers),
      grpc.call(confirmUsernameHash, { ...confirmation, usernameCiphertext: undefined }, headers),
      grpc.call(confirmUsernameHash, confirmation, headers),
      grpc.call(setUsernameLink, { usernameCiphertext: randomBytes(129) }, headers),
      grpc.call(lookupUsernameHash, { usernameHash: randomBytes(31) }),
      grpc.call(lookupUsernameLink, { usernameLinkHandle: randomBytes(17) }),
    ])
    assert.deepEqual(
      answers.map(({ code, fields: [field] }) => [code, field]),
      [
        'username_hashes',
        'username_hashes',
        'username_hashes',
        'username_hash',
        'zk_proof',
        'username_ciphertext',
        'zkProof',
        'username_ciphertext',
        'username_hash',
        'username_link_handle',
      ].map((field) => [INVALID_ARGUMENT, field]),
    )
    const credentials = await grpc.call(lookupUsernameHash, { usernameHash: hash }, headers)
    assert.deepEqual([credentials.code, credentials.reason], [INVALID_ARGUMENT, 'BAD_AUTHENTICATION'])
    const nobody = await grpc.call(lookupUsernameHash, { usernameHash: hash })
    assert.deepEqual([nobody.code, nobody.reply?.response], [OK, 'notFound'])
  })
})
