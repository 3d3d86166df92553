import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { after, test } from 'node:test'
import * as LS from '@signalapp/libsignal-client'
import {
  AuthCredentialWithPniResponse,
  AvatarUploadCredentialRequestContext,
  AvatarUploadCredentialResponse,
  BackupAuthCredentialRequestContext,
  BackupAuthCredentialResponse,
  BackupCredentialType,
  BackupLevel,
  CallLinkAuthCredentialResponse,
  CallLinkSecretParams,
  ClientZkAuthOperations,
  ClientZkProfileOperations,
  CreateCallLinkCredentialRequestContext,
  CreateCallLinkCredentialResponse,
  ExpiringProfileKeyCredentialResponse,
  GenericServerSecretParams,
  ProfileKey,
  ServerSecretParams,
  ZkCredentialKeyPair,
} from '@signalapp/libsignal-client/dist/zkgroup/index.js'
import type { Aci, Pni } from '../../../wire/types.ts'
import { Issuer } from './issuer.ts'

const DAY = 86_400
const secrets = {
  serverSecretParams: ServerSecretParams.generate(),
  genericServerSecretParams: GenericServerSecretParams.generate(),
  backupServerSecretParams: GenericServerSecretParams.generate(),
}
const serverPublic = secrets.serverSecretParams.getPublicParams()
const callingPublic = secrets.genericServerSecretParams.getPublicParams()
const chatPublic = secrets.backupServerSecretParams.getPublicParams()
const bugs: unknown[] = []
const issuer = new Issuer({ secrets, onBug: (error) => bugs.push(error) })
after(() => issuer.close())

const aci = randomUUID() as Aci
const pni = `PNI:${randomUUID()}` as Pni
const [holder, number] = [LS.Aci.parseFromServiceIdString(aci), LS.Pni.parseFromServiceIdString(pni)]
const today = Math.floor(Date.now() / 1000 / DAY) * DAY
const days = [today, today + DAY]
const random = (size: number) => new Uint8Array(randomBytes(size))

test('group credentials are those of the account and the day', async () => {
  const operations = new ClientZkAuthOperations(serverPublic)
  const issued = await issuer.groupAuth(aci, pni, days)
  assert.deepEqual(
    issued.map(({ redemptionSeconds }) => redemptionSeconds),
    days,
  )
  const receive = (day: number, who = holder) =>
    operations.receiveAuthCredentialWithPniAsServiceId(
      who,
      number,
      day,
      new AuthCredentialWithPniResponse(issued[1]!.credential),
    )
  receive(days[1]!)
  assert.throws(() => receive(today))
  assert.throws(() => receive(days[1]!, LS.Aci.fromUuid(randomUUID())))
})

test('call link credentials are those of the account and the day', async () => {
  const [issued] = await issuer.callLinkAuth(aci, [today])
  const response = new CallLinkAuthCredentialResponse(issued!.credential)
  const credential = response.receive(holder, today, callingPublic)
  const link = CallLinkSecretParams.deriveFromRootKey(random(16))
  credential
    .present(holder, today, callingPublic, link)
    .verify(secrets.genericServerSecretParams, link.getPublicParams())
  assert.throws(() => response.receive(holder, today + DAY, callingPublic))
  assert.throws(() => response.receive(holder, today, chatPublic))
})

test('a credential for creating a call link answers the request for a room', async () => {
  const context = CreateCallLinkCredentialRequestContext.forRoomId(random(32))
  const bytes = await issuer.createCallLink(context.getRequest().serialize(), aci, today)
  context.receive(new CreateCallLinkCredentialResponse(bytes!), holder, callingPublic)
  assert.equal(await issuer.createCallLink(random(65), aci, today), undefined)
  assert.equal(await issuer.createCallLink(random(0), aci, today), undefined)
})

test('a profile key credential answers a request about the committed profile key', async () => {
  const operations = new ClientZkProfileOperations(serverPublic)
  const key = new ProfileKey(random(32))
  const context = operations.createProfileKeyCredentialRequestContext(holder, key)
  const commitment = key.getCommitment(holder).serialize()
  const request = context.getRequest().serialize()
  const bytes = await issuer.profileKey(request, aci, commitment, today + 7 * DAY)
  operations.receiveExpiringProfileKeyCredential(context, new ExpiringProfileKeyCredentialResponse(bytes!))
  const other = new ProfileKey(random(32)).getCommitment(holder).serialize()
  assert.equal(await issuer.profileKey(request, aci, other, today + 7 * DAY), undefined)
  assert.equal(await issuer.profileKey(random(9), aci, commitment, today + 7 * DAY), undefined)
})

test('backup credentials carry the level and the kind', async () => {
  const context = BackupAuthCredentialRequestContext.create(random(32), aci)
  const issued = await issuer.backupAuth(
    context.getRequest().serialize(),
    BackupLevel.Paid,
    BackupCredentialType.Media,
    days,
  )
  const response = new BackupAuthCredentialResponse(issued[1]!.credential)
  const credential = context.receive(response, days[1]!, chatPublic)
  assert.equal(credential.getBackupLevel(), BackupLevel.Paid)
  assert.equal(credential.getType(), BackupCredentialType.Media)
  const broken = issuer.backupAuth(random(3), BackupLevel.Free, BackupCredentialType.Media, days)
  await assert.rejects(broken, { name: 'Error' })
})

test('an avatar upload credential answers a request made for the stored key', async () => {
  const pair = ZkCredentialKeyPair.generate()
  const context = AvatarUploadCredentialRequestContext.create(holder, pair, 5n)
  const request = context.getRequest().serialize()
  const key = pair.getPublicKey().serialize()
  const bytes = await issuer.avatarUpload(request, aci, key, 5n, today)
  const response = new AvatarUploadCredentialResponse(bytes!)
  context.receiveResponse(response, chatPublic).present(chatPublic).verify(secrets.backupServerSecretParams)
  const otherKey = ZkCredentialKeyPair.generate().getPublicKey().serialize()
  assert.equal(await issuer.avatarUpload(request, aci, otherKey, 5n, today), undefined)
  assert.equal(await issuer.avatarUpload(request, aci, key, 6n, today), undefined)
})

test('a request may be a view into a larger buffer, and nothing was a bug', async () => {
  const context = CreateCallLinkCredentialRequestContext.forRoomId(random(32))
  const large = Buffer.concat([Buffer.alloc(100), context.getRequest().serialize(), Buffer.alloc(100)])
  const bytes = await issuer.createCallLink(large.subarray(100, -100), aci, today)
  assert.ok(bytes)
  assert.deepEqual(bugs, [])
})
