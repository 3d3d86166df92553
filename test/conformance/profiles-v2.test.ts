// Profiles of the second kind, and avatars that belong to nobody the server knows: by gRPC (signal-api §2.14, §3.6).
import assert from 'node:assert/strict'
import { createHash, createHmac, randomBytes, randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import * as LS from '@signalapp/libsignal-client'
import {
  AvatarUploadCredentialRequestContext,
  AvatarUploadCredentialResponse,
  GenericServerPublicParams,
  ZkCredentialKeyPair,
} from '@signalapp/libsignal-client/dist/zkgroup/index.js'
import { tupleHash256 } from '../../server/kit/tuple-hash.ts'
import { Accounts } from '../../wire/gen/account.js'
import { IdentityType } from '../../wire/gen/common.js'
import {
  ProfileAnonymous,
  Profile as ProfileService,
  type SetProfileRequestInit,
} from '../../wire/gen/profile.js'
import { type ServiceId, uuidToBytes } from '../../wire/types.ts'
import { GrpcClient } from '../client/grpc.ts'
import { authorizationOf, Https } from '../client/https.ts'
import { fullProfile, ProfileKeys, profileBody } from '../client/profile-keys.ts'
import { type Registered, register } from '../client/register.ts'
import { Constellation } from '../constellation.ts'
import { FORM_TYPE, type FormLike, formBody, formFields } from '../files/post-form.ts'
import { groupSendToken } from '../group-send-token.ts'

const DAY_MS = 86_400_000
const INVALID_ARGUMENT = 3
const [UNCHANGED, CLEAR, UPDATE] = [0, 1, 2]
const V2 = ['spqr', 'profiles_v2']

let server: Constellation
let grpc: GrpcClient
let https: Https
let chatParams: GenericServerPublicParams
let asker: Registered
before(async () => {
  server = await Constellation.open()
  grpc = GrpcClient.open(server.ready)
  https = Https.open(server.ready, 2)
  const params = Buffer.from(server.ready.keys.backupServerPublicParams, 'base64')
  chatParams = new GenericServerPublicParams(new Uint8Array(params))
  asker = await register(server)
})
after(async () => {
  await grpc[Symbol.asyncDispose]()
  await https[Symbol.asyncDispose]()
  await server.close()
})

const rpcs = ProfileService.rpcs
const anonymous = ProfileAnonymous.rpcs
const hashOf = (data: Uint8Array) => createHash('sha256').update(data).digest()
const idOf = (id: LS.Aci) => ({
  identityType: IdentityType.IDENTITY_TYPE_ACI,
  uuid: uuidToBytes(id.getServiceIdString()),
})
const v1Request = (avatarChange: number = UNCHANGED) => ({
  name: randomBytes(81),
  avatarChange,
  phoneNumberSharing: randomBytes(29),
})
const request = (keys: ProfileKeys, fields: SetProfileRequestInit = {}): SetProfileRequestInit => ({
  version: keys.versionBytes,
  data: randomBytes(937),
  commitment: keys.commitment,
  v1Request: v1Request(),
  ...fields,
})
const set = (owner: Registered, init: SetProfileRequestInit) =>
  grpc.call(rpcs.setProfile, init, authorizationOf(owner))
const outcome = async (owner: Registered, init: SetProfileRequestInit) => {
  const { code, reply } = await set(owner, init)
  return code === 0 ? reply!.response : code
}
const get = async (owner: Registered, keys: ProfileKeys, etag?: Uint8Array) => {
  const message = { accountIdentifier: idOf(owner.aci), version: keys.versionBytes, etag }
  const { code, reply } = await grpc.call(rpcs.getProfile, message, authorizationOf(asker))
  assert.equal(code, 0)
  return reply!
}

test('the one ciphertext comes back as it was written, with what everybody may know, and a tag of it all', async () => {
  const owner = await register(server, { capabilities: V2 })
  const keys = new ProfileKeys(owner.aci)
  const [data, paymentAddress] = [randomBytes(937), randomBytes(582)]
  assert.equal(await outcome(owner, request(keys, { data, paymentAddress })), 'result')
  const { profile } = await get(owner, keys)
  const identityKey = owner.keys.aci.pair.publicKey.serialize()
  const fingerprint = createHmac('sha256', owner.accessKey).update(new Uint8Array(32)).digest()
  assert.deepEqual(
    {
      data: Buffer.from(profile!.data),
      paymentAddress: Buffer.from(profile!.paymentAddress),
      identityKey: Buffer.from(profile!.accountInfo!.identityKey),
      fingerprint: Buffer.from(profile!.accountInfo!.unidentifiedAccessKeyFingerprint),
      unrestricted: profile!.accountInfo!.unrestrictedUnidentifiedAccess,
      badges: profile!.accountInfo!.badgeIds,
    },
    {
      ...{ data, paymentAddress, identityKey: Buffer.from(identityKey), fingerprint },
      ...{ unrestricted: false, badges: [] },
    },
  )
  const tuple = [data, paymentAddress, identityKey, fingerprint, Buffer.of(0), Buffer.alloc(4)]
  assert.deepEqual(
    Buffer.from(profile!.etag),
    Buffer.from((await tupleHash256(tuple, 'ProfileETag/v1', 10))!),
  )
  assert.equal((await get(owner, keys, profile!.etag)).response, 'etagMatched')
  assert.equal((await get(owner, keys, randomBytes(10))).response, 'profile')
})

test('a write that expects what is no longer there is a conflict, and changes nothing', async () => {
  const owner = await register(server, { capabilities: V2 })
  const [keys, next] = [new ProfileKeys(owner.aci), new ProfileKeys(owner.aci)]
  const data = randomBytes(100)
  const first = request(keys, { data })
  const [expectedCurrentVersion, expectedCurrentDataHash] = [keys.versionBytes, hashOf(data)]
  const current = { expectedCurrentVersion, expectedCurrentDataHash }
  const versionConflict = 'expectedVersionWriteConflict'
  const dataConflict = 'expectedDataWriteConflict'
  assert.equal(await outcome(owner, request(keys, { expectedCurrentVersion })), versionConflict)
  assert.equal(await outcome(owner, request(keys, { expectedCurrentDataHash })), dataConflict)
  assert.equal(await outcome(owner, first), 'result')
  assert.equal(await outcome(owner, request(keys)), versionConflict)
  assert.equal(await outcome(owner, request(keys, { expectedCurrentVersion })), dataConflict)
  const stale = { expectedCurrentVersion, expectedCurrentDataHash: hashOf(randomBytes(9)) }
  assert.equal(await outcome(owner, request(keys, stale)), dataConflict)
  const moved = { expectedCurrentVersion: next.versionBytes, expectedCurrentDataHash }
  assert.equal(await outcome(owner, request(keys, moved)), versionConflict)
  assert.deepEqual(Buffer.from((await get(owner, keys)).profile!.data), data)

  assert.equal(await outcome(owner, request(keys, current)), 'result')
  assert.equal(await outcome(owner, request(next, current)), dataConflict, 'the new version has no data yet')
  assert.equal(await outcome(owner, request(next, { expectedCurrentVersion })), 'result')
  assert.equal(await outcome(owner, request(next, { expectedCurrentVersion })), versionConflict)
})

test('of many that write at once on the same expectation one succeeds', async () => {
  const owner = await register(server, { capabilities: V2 })
  const keys = new ProfileKeys(owner.aci)
  const writes = Array.from({ length: 20 }, () => randomBytes(50))
  const outcomes = await Promise.all(writes.map((data) => outcome(owner, request(keys, { data }))))
  const won = writes.filter((_, index) => outcomes[index] === 'result')
  assert.equal(won.length, 1)
  assert.deepEqual(Buffer.from((await get(owner, keys)).profile!.data), won[0])
})

test('clients of the first kind read the shadow, and its avatar', async () => {
  const owner = await register(server, { capabilities: V2 })
  const keys = new ProfileKeys(owner.aci)
  const v1 = v1Request(UPDATE)
  const data = randomBytes(10)
  const { reply } = await set(owner, request(keys, { data, v1Request: v1 }))
  const form = reply!.result!.v1AvatarUploadForm!
  assert.match(form.key, /^profiles\/[\w-]{22}$/)
  const read = async () => {
    const path = `/v1/profile/${owner.aci.getServiceIdString()}/${keys.version}`
    return (await https.call('GET', path, { headers: authorizationOf(asker) })).json
  }
  const shown = await read()
  assert.deepEqual(
    [shown.name, shown.about, shown.avatar, shown.paymentAddress],
    [v1.name.toString('base64'), '', form.key, null],
  )
  const expected = { expectedCurrentVersion: keys.versionBytes, expectedCurrentDataHash: hashOf(data) }
  const kept = await set(owner, request(keys, { ...expected, data }))
  assert.equal(kept.reply!.result!.v1AvatarUploadForm, null)
  assert.equal((await read()).avatar, form.key)
  await set(owner, request(keys, { ...expected, v1Request: v1Request(CLEAR) }))
  assert.equal((await read()).avatar, null)
})

test('an account of which not every device knows profiles of the second kind reads as one of the first', async () => {
  const owner = await register(server, { capabilities: ['spqr'] })
  const keys = new ProfileKeys(owner.aci)
  assert.equal(await outcome(owner, request(keys)), 'profilesV2CapabilityRequired')
  assert.equal((await get(owner, keys)).response, 'notFound')
  const profile = fullProfile({ avatar: true })
  const headers = authorizationOf(owner)
  const put = await https.call('PUT', '/v1/profile', { headers, json: profileBody(keys, profile) })
  const { legacyProfile } = await get(owner, keys)
  assert.equal(Buffer.from(legacyProfile!.name).toString('base64'), profile.name)
  assert.equal(Buffer.from(legacyProfile!.paymentAddress).toString('base64'), profile.paymentAddress)
  assert.equal(legacyProfile!.avatar, put.json.key)
})

test('data of the second kind goes when its account goes back to the first', async () => {
  const owner = await register(server, { capabilities: V2 })
  const keys = new ProfileKeys(owner.aci)
  assert.equal(await outcome(owner, request(keys)), 'result')
  const headers = authorizationOf(owner)
  const become = (capabilities: object) =>
    https.call('PUT', '/v1/devices/capabilities', { headers, json: capabilities })
  await become({ spqr: true })
  assert.equal((await get(owner, keys)).response, 'legacyProfile')
  const other = new ProfileKeys(owner.aci)
  await https.call('PUT', '/v1/profile', { headers, json: profileBody(other, fullProfile()) })
  await become({ spqr: true, profiles_v2: true })
  assert.equal((await get(owner, keys)).response, 'legacyProfile')
})

test('a field of another size, and a request without one that it needs, breaks the contract', async () => {
  const owner = await register(server, { capabilities: V2 })
  const keys = new ProfileKeys(owner.aci)
  const spoilt: [string, SetProfileRequestInit][] = [
    ['version', { version: randomBytes(31) }],
    ['data', { data: randomBytes(938) }],
    ['data', { data: Buffer.alloc(0) }],
    ['commitment', { commitment: Buffer.alloc(0) }],
    ['commitment', { commitment: randomBytes(97) }],
    ['expected_current_data_hash', { expectedCurrentDataHash: randomBytes(31) }],
    ['expected_current_version', { expectedCurrentVersion: randomBytes(33) }],
    ['payment_address', { paymentAddress: randomBytes(581) }],
    ['v1_request', { v1Request: null }],
    ['v1_request.name', { v1Request: { ...v1Request(), name: randomBytes(80) } }],
    ['v1_request.about', { v1Request: { ...v1Request(), about: randomBytes(1) } }],
    ['v1_request.about_emoji', { v1Request: { ...v1Request(), aboutEmoji: randomBytes(61) } }],
    ['v1_request.phone_number_sharing', { v1Request: { ...v1Request(), phoneNumberSharing: null } }],
    ['v1_request.avatar_change', { v1Request: v1Request(3) }],
  ]
  for (const [field, init] of spoilt) {
    const { code, fields } = await set(owner, request(keys, init))
    assert.deepEqual([code, fields], [INVALID_ARGUMENT, [field]])
  }
  assert.equal((await get(owner, keys)).response, 'notFound')
  assert.equal(await outcome(owner, request(keys)), 'result')
  const again = { expectedCurrentVersion: keys.versionBytes, expectedCurrentDataHash: randomBytes(32) }
  const foreign = new ProfileKeys(owner.aci).commitment
  const { fields } = await set(owner, request(keys, { ...again, commitment: foreign }))
  assert.deepEqual(fields, ['commitment'], 'a version keeps its first commitment')
})

test('an avatar of the first kind is announced alone, for a version that is there or comes with its commitment', async () => {
  const owner = await register(server)
  const keys = new ProfileKeys(owner.aci)
  const announce = (version: string, commitment?: Uint8Array) =>
    grpc.call(rpcs.setV1Avatar, { version, commitment }, authorizationOf(owner))
  assert.deepEqual((await announce(keys.version)).fields, ['commitment'])
  assert.deepEqual((await announce('zz'.repeat(32), keys.commitment)).fields, ['version'])
  const { reply } = await announce(keys.version, keys.commitment)
  assert.equal((await get(owner, keys)).legacyProfile!.avatar, reply!.form!.key)
  const next = (await announce(keys.version)).reply!.form!.key
  assert.notEqual(next, reply!.form!.key)
  assert.equal((await get(owner, keys)).legacyProfile!.avatar, next)
})

test('A5, R7: a stranger reads by access key or token, and learns nothing without', async () => {
  const owner = await register(server, { capabilities: V2 })
  const keys = new ProfileKeys(owner.aci)
  assert.equal(await outcome(owner, request(keys)), 'result')
  const params = (await server.secrets()).serverSecretParams
  const expiresAtMs = Math.floor(Date.now() / DAY_MS) * DAY_MS + DAY_MS
  const tokenFor = (id: LS.Aci) => ({
    authentication: 'groupSendToken' as const,
    groupSendToken: groupSendToken({
      params,
      recipients: [id.getServiceIdString() as ServiceId],
      expiresAtMs,
    }),
  })
  const keyOf = (unidentifiedAccessKey: Uint8Array) => ({
    authentication: 'unidentifiedAccessKey' as const,
    unidentifiedAccessKey,
  })
  const nobody = LS.Aci.fromUuid(randomUUID())
  const read = async (id: LS.Aci, proof: object, version: Uint8Array = keys.versionBytes) => {
    const message = { request: { accountIdentifier: idOf(id), version }, ...proof }
    const { code, reply } = await grpc.call(anonymous.getProfile, message)
    return code === 0 ? reply!.response : code
  }
  const failed = 'failedUnidentifiedAuthorization'
  assert.equal(await read(owner.aci, keyOf(owner.accessKey)), 'profile')
  assert.equal(await read(owner.aci, tokenFor(owner.aci)), 'profile')
  assert.equal(await read(owner.aci, keyOf(owner.accessKey), randomBytes(32)), 'notFound')
  assert.equal(await read(nobody, tokenFor(nobody)), 'notFound')
  assert.equal(await read(owner.aci, tokenFor(nobody)), failed)
  for (const key of [new Uint8Array(16), owner.accessKey.map((byte) => byte ^ 1)]) {
    assert.equal(await read(owner.aci, keyOf(key)), failed)
    assert.equal(await read(nobody, keyOf(key)), failed)
  }
  assert.equal(await read(nobody, keyOf(owner.accessKey)), failed)
  assert.equal(await read(owner.aci, keyOf(new Uint8Array(15))), INVALID_ARGUMENT)
  assert.equal(await read(owner.aci, {}), INVALID_ARGUMENT)
})

test('C2: a credential by gRPC is for the current version and the right request; all else is not found or no request', async () => {
  const owner = await register(server, { capabilities: V2 })
  const [old, keys] = [new ProfileKeys(owner.aci), new ProfileKeys(owner.aci)]
  assert.equal(await outcome(owner, request(old)), 'result')
  assert.equal(await outcome(owner, request(keys, { expectedCurrentVersion: old.versionBytes })), 'result')
  const ask = async (from: ProfileKeys, fields: object = {}, of = owner.aci, key = owner.accessKey) => {
    const asked = from.request(server.ready)
    const message = {
      request: {
        accountIdentifier: idOf(of),
        credentialRequest: asked.bytes,
        credentialType: 1,
        version: from.versionBytes,
        ...fields,
      },
      unidentifiedAccessKey: key,
    }
    const { code, reply } = await grpc.call(anonymous.getExpiringProfileKeyCredential, message)
    if (reply?.result) asked.receive(reply.result.profileKeyCredential)
    return code === 0 ? reply!.response : code
  }
  const nobody = LS.Aci.fromUuid(randomUUID())
  assert.equal(await ask(keys), 'result')
  assert.equal(await ask(old), 'notFound')
  assert.equal(await ask(new ProfileKeys(owner.aci)), 'notFound')
  assert.equal(await ask(keys, {}, nobody), 'notFound')
  assert.equal(await ask(keys, {}, owner.aci, new Uint8Array(16)), 'notFound')
  assert.equal(await ask(old, { version: keys.versionBytes }), INVALID_ARGUMENT)
  assert.equal(await ask(keys, { credentialRequest: randomBytes(329) }), INVALID_ARGUMENT)
  assert.equal(await ask(keys, { credentialType: 0 }), INVALID_ARGUMENT)
  assert.equal(await ask(keys, { credentialType: 7 }), INVALID_ARGUMENT)
})

/** A client's part in avatars of the second kind. */
class AvatarOwner {
  readonly pair = ZkCredentialKeyPair.generate()
  readonly account: Registered

  constructor(account: Registered) {
    this.account = account
  }

  async setKey(pair = this.pair): Promise<bigint> {
    const message = { publicKey: pair.getPublicKey().serialize() }
    const { code, reply } = await grpc.call(
      Accounts.rpcs.setZkCredentialKey,
      message,
      authorizationOf(this.account),
    )
    assert.equal(code, 0)
    return BigInt(reply!.rotationId)
  }

  context(rotationId: bigint, pair = this.pair, aci = this.account.aci) {
    return AvatarUploadCredentialRequestContext.create(aci, pair, rotationId)
  }

  ask(context: AvatarUploadCredentialRequestContext) {
    const message = { avatarCredentialsRequest: context.getRequest().serialize() }
    return grpc.call(rpcs.getAvatarCredentials, message, authorizationOf(this.account))
  }

  async presentation(rotationId: bigint): Promise<Uint8Array> {
    const context = this.context(rotationId)
    const { reply } = await this.ask(context)
    const response = new AvatarUploadCredentialResponse(new Uint8Array(reply!.avatarCredentials!))
    return context.receiveResponse(response, chatParams).present(chatParams).serialize()
  }
}

test('a place is filled, kept and left by whoever shows a credential for it', async () => {
  const owner = new AvatarOwner(await register(server))
  const rotationId = await owner.setKey()
  assert.ok(rotationId > 0n)
  assert.equal(await owner.setKey(), rotationId, 'the same key again')
  const [one, two] = [await owner.presentation(rotationId), await owner.presentation(rotationId)]
  assert.notDeepEqual(one, two)
  const extend = async (presentation: Uint8Array) => {
    const { reply } = await grpc.call(anonymous.extendAvatarTTL, {
      avatarCredentialsPresentation: presentation,
    })
    return reply!.response === 'path' ? reply!.path : reply!.response
  }
  const fill = async (presentation: Uint8Array, uploadLength: number) => {
    const message = { avatarCredentialsPresentation: presentation, uploadLength }
    return (await grpc.call(anonymous.getAvatarUploadForm, message)).reply!.avatarUploadForm!
  }
  const post = async (form: FormLike) => {
    const body = formBody(formFields(form), 'a')
    assert.equal((await https.call('POST', '/cdn0/', { headers: FORM_TYPE, body })).status, 204)
  }
  assert.equal(await extend(one), 'notFound')
  const form = await fill(one, 12345)
  const { conditions } = JSON.parse(Buffer.from(form.policy, 'base64').toString())
  assert.deepEqual(conditions[4], ['content-length-range', 1, 12345])
  assert.equal(await extend(two), 'notFound', 'nothing was uploaded yet')
  await post(form)
  assert.equal(await extend(two), form.key, 'another presentation names the same place')
  const next = await fill(two, 1)
  assert.notEqual(next.key, form.key)
  await post(next)
  assert.equal(await extend(one), next.key)
  const left = await grpc.call(anonymous.deleteAvatar, { avatarCredentialsPresentation: one })
  assert.equal(left.reply!.response, 'success')
  assert.equal(await extend(one), 'notFound')

  const fresh = ZkCredentialKeyPair.generate()
  const rotated = await owner.setKey(fresh)
  assert.notEqual(rotated, rotationId)
})

test('C2: an avatar credential is for the key that was set, its rotation and its account', async () => {
  const owner = new AvatarOwner(await register(server))
  const before = await owner.ask(owner.context(5n))
  assert.equal(before.reply!.response, 'missingZkCredentialKey')
  const rotationId = await owner.setKey()
  const other = await register(server)
  const wrong = [
    owner.context(rotationId + 1n),
    owner.context(rotationId, ZkCredentialKeyPair.generate()),
    owner.context(rotationId, owner.pair, other.aci),
  ]
  for (const context of wrong) assert.equal((await owner.ask(context)).code, INVALID_ARGUMENT)
  assert.equal((await owner.ask(owner.context(rotationId))).reply!.response, 'avatarCredentials')
  const garbage = { publicKey: randomBytes(33) }
  const refused = await grpc.call(Accounts.rpcs.setZkCredentialKey, garbage, authorizationOf(other))
  assert.deepEqual(refused.fields, ['public_key'])
})

test('C2: a presentation of other parameters, a damaged one and none at all fill no place', async () => {
  const owner = new AvatarOwner(await register(server))
  const good = await owner.presentation(await owner.setKey())
  const damaged = good.map((byte, index) => (index === good.length - 1 ? byte ^ 1 : byte))
  await using foreign = await Constellation.open()
  const secret = (await foreign.secrets()).backupServerSecretParams
  const context = owner.context(1n)
  const issued = context
    .getRequest()
    .issueCredential(
      owner.account.aci,
      owner.pair.getPublicKey(),
      1n,
      new Date(Math.floor(Date.now() / DAY_MS) * DAY_MS),
      secret,
    )
  const publicParams = secret.getPublicParams()
  const forged = context.receiveResponse(issued, publicParams).present(publicParams).serialize()
  const answers = async (presentation: Uint8Array) => {
    const message = { avatarCredentialsPresentation: presentation, uploadLength: 1 }
    const replies = [
      await grpc.call(anonymous.getAvatarUploadForm, message),
      await grpc.call(anonymous.extendAvatarTTL, message),
      await grpc.call(anonymous.deleteAvatar, message),
    ]
    return replies.map(({ code, reply }) => (code === 0 ? reply!.response : code))
  }
  assert.deepEqual(await answers(forged), Array(3).fill('invalidCredentialsPresentation'))
  assert.ok((await answers(damaged)).every((one) => one === 'invalidCredentialsPresentation' || one === 3))
  assert.deepEqual(await answers(randomBytes(10)), Array(3).fill(INVALID_ARGUMENT))
  for (const uploadLength of [0, 10 * 1024 * 1024 + 1]) {
    const message = { avatarCredentialsPresentation: good, uploadLength }
    assert.deepEqual((await grpc.call(anonymous.getAvatarUploadForm, message)).fields, ['upload_length'])
  }
})
