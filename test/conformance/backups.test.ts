// Backups: ids, credentials, keys, forms, media (signal-api §2.20), by libsignal's own calls and by the raw ones.
import assert from 'node:assert/strict'
import { createDecipheriv, createHmac, randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import * as LS from '@signalapp/libsignal-client'
import {
  type BackupAuthCredential,
  type GenericServerPublicParams,
  ReceiptCredentialPresentation,
} from '@signalapp/libsignal-client/dist/zkgroup/index.js'
import { copiedBytes } from '../../server/kit/backup-objects.ts'
import { systemClock } from '../../server/kit/clock.ts'
import { type UploadClaims, UploadSignatures } from '../../server/kit/upload-signatures.ts'
import { Accounts } from '../../wire/gen/account.js'
import { BackupStreamClosed, Backups, BackupsAnonymous } from '../../wire/gen/backups.js'
import { Status } from '../../wire/gen/rpc.js'
import { type BackupKind, OwnBackup, zkHeaders } from '../client/backup-owner.ts'
import { detailsOf, GrpcClient } from '../client/grpc.ts'
import { authorizationOf, Https } from '../client/https.ts'
import { HTTP_VERSIONS, type HttpVersion } from '../client/net.ts'
import { type Registered, register } from '../client/register.ts'
import { fetchJson } from '../client/rest.ts'
import { SignalClient } from '../client/signal-client.ts'
import { Constellation } from '../constellation.ts'
import { attach } from '../files/attach.ts'
import { plain } from '../plain.ts'
import { receiptPresentation } from '../receipt.ts'

const DAY_S = 86_400
const today = () => Math.floor(Date.now() / 1000 / DAY_S) * DAY_S
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')

let server: Constellation
let signatures: UploadSignatures
let serverKeys: GenericServerPublicParams
before(async () => {
  server = await Constellation.open()
  const secrets = await server.secrets()
  signatures = new UploadSignatures(secrets.uploads, systemClock)
  serverKeys = secrets.backupServerSecretParams.getPublicParams()
})
after(() => server.close())

type CredentialJson = { credential: string; redemptionTime: number }
type Owner = Awaited<ReturnType<typeof setUp>>

/** An account that committed to its ids, with today's credentials. */
async function setUp(httpVersion: HttpVersion, of = server, keys = serverKeys) {
  const account = await register(of, { httpVersion })
  const own = { messages: newBackup(account), media: newBackup(account) }
  await using https = Https.open(of.ready, httpVersion)
  const headers = authorizationOf(account)
  const json = {
    messagesBackupAuthCredentialRequest: base64(own.messages.request),
    mediaBackupAuthCredentialRequest: base64(own.media.request),
  }
  assert.equal((await https.call('PUT', '/v1/archives/backupid', { headers, json })).status, 204)
  const path = `/v1/archives/auth?redemptionStartSeconds=${today()}&redemptionEndSeconds=${today() + DAY_S}`
  const { credentials } = (await https.call('GET', path, { headers })).json
  const receive = (kind: BackupKind) => {
    const [first] = credentials[kind] as [CredentialJson]
    const issued = {
      credential: Buffer.from(first.credential, 'base64'),
      redemptionSeconds: first.redemptionTime,
    }
    return own[kind].receive(issued, keys)
  }
  const credential = { messages: receive('messages'), media: receive('media') }
  const signed = (kind: BackupKind) => own[kind].present(credential[kind], keys)
  const auth = (kind: BackupKind) => ({
    credential: credential[kind],
    serverKeys: keys,
    signingKey: own[kind].signingKey,
  })
  return { account, own, credential, signed, auth }
}

const newBackup = (account: Registered) => new OwnBackup(account.aci.getServiceIdString())

const claimsOf = (headers: Iterable<readonly [string, string]>): UploadClaims | undefined => {
  const byName = new Map(Array.from(headers, ([name, value]) => [name.toLowerCase(), value]))
  return signatures.verifyToken(byName.get('authorization')!.replace(/^Bearer /, ''))
}

const copyJson = () => ({
  sourceAttachment: { cdn: 3, key: randomBytes(15).toString('base64url') },
  objectLength: 100,
  mediaId: randomBytes(15).toString('base64url'),
  hmacKey: base64(randomBytes(32)),
  encryptionKey: base64(randomBytes(32)),
})

for (const httpVersion of HTTP_VERSIONS)
  describe(`backups over HTTP/${httpVersion}`, () => {
    let https: Https
    let owner: Owner
    before(async () => {
      https = Https.open(server.ready, httpVersion)
      owner = await setUp(httpVersion)
    })
    after(() => https[Symbol.asyncDispose]())

    const call = (
      method: string,
      path: string,
      kind: BackupKind,
      json?: unknown,
      of: Pick<Owner, 'signed'> = owner,
    ) =>
      https.call(method, `/v1/archives${path}`, {
        headers: zkHeaders(of.signed(kind)),
        ...(json !== undefined && { json }),
      })
    const setKey = async (of: Owner, kind: BackupKind) => {
      const json = { backupIdPublicKey: base64(of.own[kind].publicKey) }
      assert.equal((await call('PUT', '/keys', kind, json, of)).status, 204)
    }

    test("libsignal's typed calls get forms for messages and for media", async () => {
      await using client = await SignalClient.create(server, { httpVersion, oneTimeKeys: 0 })
      const { unauth } = client.link
      const own = await setUp(httpVersion)
      const uploadSize = 1000
      const refused = { code: LS.ErrorCode.RequestUnauthorized }
      await assert.rejects(unauth.getUploadForm({ auth: own.auth('messages'), uploadSize }), refused)
      await setKey(own, 'messages')
      await setKey(own, 'media')
      const form = await unauth.getUploadForm({ auth: own.auth('messages'), uploadSize })
      const { json: info } = await call('GET', '/', 'messages', undefined, own)
      assert.equal(form.cdn, 3)
      assert.equal(form.key, `${info.backupDir}/messageBackup`)
      assert.equal(form.signedUploadUrl.href, `${server.ready.urls.chat}/cdn3/upload/backups`)
      assert.deepEqual(claimsOf(form.headers), {
        audience: 'backups',
        scope: 'write',
        subject: form.key,
        maxBytes: uploadSize,
      })
      const media = await unauth.getMediaUploadForm({ auth: own.auth('media'), uploadSize })
      assert.deepEqual(claimsOf(media.headers), {
        audience: 'attachments',
        subject: media.key,
        maxBytes: uploadSize,
      })
      const tooLarge = { code: LS.ErrorCode.UploadTooLarge }
      await assert.rejects(
        unauth.getUploadForm({ auth: own.auth('messages'), uploadSize: 2 ** 31 }),
        tooLarge,
      )
      await assert.rejects(
        unauth.getMediaUploadForm({ auth: own.auth('media'), uploadSize: 2 ** 28 }),
        tooLarge,
      )
    })

    test('ids are set by the primary device, and give credentials for each day', async () => {
      const account = await register(server, { httpVersion })
      const headers = authorizationOf(account)
      const ask = (query: string) => https.call('GET', `/v1/archives/auth${query}`, { headers })
      const put = (json: object) => https.call('PUT', '/v1/archives/backupid', { headers, json })
      const range = (days: number) =>
        `?redemptionStartSeconds=${today()}&redemptionEndSeconds=${today() + days * DAY_S}`
      assert.equal((await ask(range(0))).status, 404)
      assert.equal((await put({})).status, 400)
      const garbage = { messagesBackupAuthCredentialRequest: 'aaa', mediaBackupAuthCredentialRequest: 'aaa' }
      assert.equal((await put(garbage)).status, 400)
      const [messages, media] = [newBackup(account), newBackup(account)]
      assert.equal((await put({ messagesBackupAuthCredentialRequest: base64(messages.request) })).status, 204)
      assert.equal((await ask(range(0))).status, 404)
      assert.equal((await put({ mediaBackupAuthCredentialRequest: base64(media.request) })).status, 204)
      const { status, json } = await ask(range(6))
      assert.equal(status, 200)
      assert.deepEqual(Object.keys(json), ['credentials'])
      const days = Array.from({ length: 7 }, (_, day) => today() + day * DAY_S)
      for (const kind of ['messages', 'media'])
        assert.deepEqual(
          json.credentials[kind].map(({ redemptionTime }: CredentialJson) => redemptionTime),
          days,
        )
      for (const query of ['', range(9), `?redemptionStartSeconds=1&redemptionEndSeconds=2`])
        assert.equal((await ask(query)).status, 400, query)
      const limits = await https.call('GET', '/v1/archives/backupid/limits', { headers })
      assert.deepEqual(limits.json, { hasPermitsRemaining: true, retryAfterSeconds: 0 })
    })

    test('the whole life of a backup, by REST', async () => {
      const before = await call('GET', '/', 'messages')
      assert.deepEqual([before.status, before.body.length], [401, 0])
      await setKey(owner, 'messages')
      await setKey(owner, 'messages')
      await setKey(owner, 'media')
      const { status, json: info } = await call('GET', '/', 'messages')
      assert.equal(status, 200)
      assert.deepEqual(Object.keys(info).sort(), ['backupDir', 'backupName', 'cdn', 'mediaDir', 'usedSpace'])
      assert.deepEqual([info.cdn, info.backupName, info.usedSpace], [3, 'messageBackup', 0])
      const read = await call('GET', '/auth/read?cdn=3', 'messages')
      assert.deepEqual(claimsOf(Object.entries<string>(read.json.headers)), {
        audience: 'backups',
        scope: 'read',
        subject: info.backupDir,
      })
      const svrb = await call('GET', '/auth/svrb', 'messages')
      assert.deepEqual(Object.keys(svrb.json).sort(), ['password', 'username'])
      assert.equal((await call('POST', '/', 'messages')).status, 204)
      const form = await call('GET', '/upload/form', 'messages')
      assert.deepEqual(Object.keys(form.json).sort(), ['cdn', 'headers', 'key', 'signedUploadLocation'])
      assert.equal((await call('DELETE', '/', 'messages')).status, 204)
      const { json: after } = await call('GET', '/', 'messages')
      assert.notEqual(after.backupDir, info.backupDir)
      assert.notEqual(after.mediaDir, info.mediaDir)
    })

    test('by REST a source that is not there is gone, alone and in a batch', async () => {
      const own = await setUp(httpVersion)
      await setKey(own, 'media')
      const media = (method: string, path: string, json?: unknown) => call(method, path, 'media', json, own)
      assert.equal((await media('PUT', '/media/', copyJson())).status, 410)
      const items = [copyJson(), copyJson()]
      const batch = await media('PUT', '/media/batch', { items })
      assert.equal(batch.status, 207)
      assert.deepEqual(
        batch.json.responses.map((one: { status: number; mediaId: string }) => [one.status, one.mediaId]),
        items.map(({ mediaId }) => [410, mediaId]),
      )
      const { json: info } = await media('GET', '/')
      const { json: listed } = await media('GET', '/media?limit=10')
      assert.deepEqual(listed, { storedMediaObjects: [], backupDir: info.backupDir, mediaDir: info.mediaDir })
      const mediaToDelete = [{ cdn: 3, mediaId: items[0]!.mediaId }]
      assert.equal((await media('POST', '/media/delete', { mediaToDelete })).status, 204)
    })

    test('media are copied with a layer around them, listed, read by who may, and deleted', async () => {
      const own = await setUp(httpVersion)
      await setKey(own, 'media')
      const media = (method: string, path: string, json?: unknown) => call(method, path, 'media', json, own)
      const content = randomBytes(70_000)
      const key = await attach(https, signatures, content)
      const copy = { ...copyJson(), sourceAttachment: { cdn: 3, key }, objectLength: content.length }
      assert.equal((await media('PUT', '/media/', { ...copy, objectLength: 69_999 })).status, 400)
      const copied = await media('PUT', '/media/', copy)
      assert.deepEqual([copied.status, copied.json], [200, { cdn: 3 }])
      const { json: listed } = await media('GET', '/media')
      const objectLength = copiedBytes(content.length)
      assert.deepEqual(listed.storedMediaObjects, [{ cdn: 3, mediaId: copy.mediaId, objectLength }])
      const { json: info } = await media('GET', '/')
      assert.equal(info.usedSpace, objectLength)
      const { json: permission } = await media('GET', '/auth/read?cdn=3')
      const path = `/cdn3/backups/${info.backupDir}/${info.mediaDir}/${copy.mediaId}`
      const read = await https.call('GET', path, { headers: permission.headers })
      assert.equal(read.status, 200)
      const [iv, ciphertext, mac] = [
        read.body.subarray(0, 16),
        read.body.subarray(16, -32),
        read.body.subarray(-32),
      ]
      const [hmacKey, encryptionKey] = [copy.hmacKey, copy.encryptionKey].map((text) =>
        Buffer.from(text, 'base64'),
      )
      assert.deepEqual(createHmac('sha256', hmacKey!).update(iv).update(ciphertext).digest(), mac)
      const decipher = createDecipheriv('aes-256-cbc', encryptionKey!, iv)
      assert.ok(Buffer.concat([decipher.update(ciphertext), decipher.final()]).equals(content))
      assert.equal((await https.call('GET', path)).status, 401)
      const mediaToDelete = [{ cdn: 3, mediaId: copy.mediaId }]
      assert.equal((await media('POST', '/media/delete', { mediaToDelete })).status, 204)
      assert.equal((await https.call('GET', path, { headers: permission.headers })).status, 404)
      assert.equal((await media('GET', '/')).json.usedSpace, 0)
    })

    test('what breaks the contract is refused (M6, I1)', async () => {
      const own = await setUp(httpVersion)
      await setKey(own, 'media')
      const status = async (method: string, path: string, json?: unknown) =>
        (await call(method, path, 'media', json, own)).status
      const spoilt = [
        { ...copyJson(), objectLength: -1 },
        { ...copyJson(), mediaId: randomBytes(14).toString('base64url') },
        { ...copyJson(), hmacKey: base64(randomBytes(31)) },
        { ...copyJson(), sourceAttachment: { cdn: 3, key: '../../etc/passwd' } },
        { ...copyJson(), sourceAttachment: { cdn: 4, key: 'abc' } },
      ]
      for (const json of spoilt) assert.equal(await status('PUT', '/media', json), 422, JSON.stringify(json))
      assert.equal(await status('PUT', '/media', { ...copyJson(), objectLength: 2 ** 30 }), 400)
      for (const items of [[], Array(1001).fill(copyJson())])
        assert.equal(await status('PUT', '/media/batch', { items }), 422)
      assert.equal(await status('GET', '/media?limit=0'), 400)
      assert.equal(await status('GET', '/media?limit=10001'), 400)
      assert.equal(await status('GET', '/auth/read?cdn=2'), 400)
      assert.equal(await status('GET', '/auth/read'), 400)
      assert.equal(await status('GET', '/media/upload/form?uploadLength=0'), 400)
      assert.equal(await status('GET', `/media/upload/form?uploadLength=${2 ** 30}`), 413)
      const mediaToDelete = [{ cdn: 2, mediaId: copyJson().mediaId }]
      assert.equal(await status('POST', '/media/delete', { mediaToDelete }), 400)
      assert.equal(await status('PUT', '/keys', { backupIdPublicKey: base64(randomBytes(33)) }), 400)
      assert.equal(await status('PUT', '/keys', {}), 422)
    })

    test('the wrong proof is 401, the wrong kind 403, none 400, and always without a word (C2)', async () => {
      const own = await setUp(httpVersion)
      const other = await setUp(httpVersion)
      for (const kind of ['messages', 'media'] as const) await setKey(own, kind)
      await setKey(other, 'messages')
      const good = own.signed('messages')
      const get = async (headers: Record<string, string>, path = '/') =>
        https.call('GET', `/v1/archives${path}`, { headers })
      assert.equal((await get(zkHeaders(good))).status, 200)
      const thief = own.own.messages.present(
        own.credential.messages,
        serverKeys,
        other.own.messages.signingKey,
      )
      const wrong = [
        zkHeaders(thief),
        zkHeaders({ ...good, presentation: other.signed('messages').presentation }),
        zkHeaders({ ...good, signature: new Uint8Array(64) }),
        { ...zkHeaders(good), 'x-signal-zk-auth': '!!!' },
        { ...zkHeaders(good), 'x-signal-zk-auth-signature': 'AAAA' },
      ]
      for (const headers of wrong) {
        const { status, body } = await get(headers)
        assert.deepEqual([status, body.length], [401, 0])
      }
      const { 'x-signal-zk-auth': presentation } = zkHeaders(good)
      for (const headers of [{}, { 'x-signal-zk-auth': presentation }])
        assert.equal((await get(headers)).status, 400)
      const media = zkHeaders(own.signed('media'))
      assert.equal((await get(media, '/auth/svrb')).status, 403)
      assert.equal((await get(media, '/upload/form')).status, 403)
      assert.equal((await get(zkHeaders(good), '/media/upload/form')).status, 403)
    })

    test('an authenticated channel may not use a backup (A4)', async () => {
      await using client = await SignalClient.create(server, { httpVersion, oneTimeKeys: 0 })
      const own = await setUp(httpVersion)
      await setKey(own, 'messages')
      const headers = zkHeaders(own.signed('messages'))
      const { auth, unauth } = client.link
      assert.equal((await fetchJson(unauth, 'GET', '/v1/archives', undefined, headers)).status, 200)
      assert.equal((await fetchJson(auth, 'GET', '/v1/archives', undefined, headers)).status, 400)
      const both = { ...headers, ...authorizationOf(own.account) }
      assert.equal((await https.call('GET', '/v1/archives', { headers: both })).status, 400)
    })
  })

describe("backups by libsignal's calls over gRPC", () => {
  let client: SignalClient
  let own: Owner
  before(async () => {
    client = await SignalClient.create(server, { httpVersion: 2, oneTimeKeys: 0 })
    own = await setUp(2)
    for (const kind of ['messages', 'media'] as const)
      await client.link.unauth.setBackupPublicKey({ auth: own.auth(kind) })
  })
  after(() => client[Symbol.asyncDispose]())

  test('info, credentials and refresh', async () => {
    const { unauth } = client.link
    const messages = await unauth.getMessageBackupInfo({ auth: own.auth('messages') })
    assert.deepEqual([messages.cdn, messages.backupName], [3, 'messageBackup'])
    const media = await unauth.getMediaBackupInfo({ auth: own.auth('media') })
    assert.equal(media.usedSpace, 0n)
    assert.notEqual(media.backupDir, messages.backupDir)
    const read = await unauth.getBackupCdnCredentials({ auth: own.auth('media'), cdn: 3 })
    assert.deepEqual(claimsOf(read.headers), { audience: 'backups', scope: 'read', subject: media.backupDir })
    const svrb = await unauth.getBackupSvrBCredentials({ auth: own.auth('messages') })
    assert.match(svrb.username, /^[0-9a-f]{32}$/)
    await unauth.refreshBackup({ auth: own.auth('messages') })
  })

  test('copies come in their order, each with what came of it', async () => {
    const { unauth } = client.link
    const items = Array.from({ length: 1100 }, () => ({
      sourceAttachmentCdn: 3,
      sourceKey: randomBytes(15).toString('base64url'),
      objectLength: 100,
      mediaId: new Uint8Array(randomBytes(15)),
      encryptionKey: new Uint8Array(randomBytes(64)),
    }))
    const copied = await Array.fromAsync(unauth.copyBackupMedia({ auth: own.auth('media'), items }))
    assert.deepEqual(
      copied,
      items.map(({ mediaId }) => ({ mediaId, result: 'sourceNotFound' })),
    )
  })

  test('libsignal copies what is there, lists it and deletes it', async () => {
    const { unauth } = client.link
    const auth = own.auth('media')
    await using https = Https.open(server.ready, 2)
    const item = {
      sourceAttachmentCdn: 3,
      sourceKey: await attach(https, signatures, randomBytes(100)),
      objectLength: 100,
      mediaId: new Uint8Array(randomBytes(15)),
      encryptionKey: new Uint8Array(randomBytes(64)),
    }
    const { mediaId } = item
    const [copied] = await Array.fromAsync(unauth.copyBackupMedia({ auth, items: [item] }))
    assert.deepEqual(copied, { mediaId, result: { cdn: 3 } })
    const { items } = await unauth.listBackupMedia({ auth, limit: 5 })
    assert.deepEqual(items, [{ cdn: 3, mediaId, objectLength: BigInt(copiedBytes(100)) }])
    assert.deepEqual(
      await Array.fromAsync(unauth.deleteBackupMedia({ auth, items: [{ mediaId, cdn: 3 }] })),
      [{ mediaId, cdn: 3 }],
    )
    assert.deepEqual((await unauth.listBackupMedia({ auth, limit: 5 })).items, [])
  })

  test('media are listed and deleted', async () => {
    const { unauth } = client.link
    const auth = own.auth('media')
    const { items, cursor, mediaDir } = await unauth.listBackupMedia({ auth, limit: 5 })
    assert.deepEqual([items, cursor], [[], undefined])
    assert.equal(mediaDir, (await unauth.getMediaBackupInfo({ auth })).mediaDir)
    const gone = Array.from({ length: 3 }, () => ({ mediaId: new Uint8Array(randomBytes(15)), cdn: 3 }))
    assert.deepEqual(await Array.fromAsync(unauth.deleteBackupMedia({ auth, items: gone })), gone)
  })

  test('who has the wrong key is unauthorized, in replies and in streams (C2)', async () => {
    const { unauth } = client.link
    const thief = { ...own.auth('media'), signingKey: LS.PrivateKey.generate() }
    const refused = { code: LS.ErrorCode.RequestUnauthorized }
    await assert.rejects(unauth.getMediaBackupInfo({ auth: thief }), refused)
    await assert.rejects(unauth.setBackupPublicKey({ auth: thief }), refused)
    await assert.rejects(unauth.refreshBackup({ auth: thief }), refused)
    await assert.rejects(unauth.listBackupMedia({ auth: thief }), refused)
    await assert.rejects(unauth.backupDeleteAll({ auth: thief }), refused)
    await assert.rejects(unauth.getUploadForm({ auth: thief, uploadSize: 1 }), refused)
    const items = [{ mediaId: new Uint8Array(randomBytes(15)), cdn: 3 }]
    await assert.rejects(Array.fromAsync(unauth.deleteBackupMedia({ auth: thief, items })), refused)
    const copies = [
      {
        sourceAttachmentCdn: 3,
        sourceKey: 'abc',
        objectLength: 1,
        mediaId: new Uint8Array(15),
        encryptionKey: new Uint8Array(64),
      },
    ]
    await assert.rejects(Array.fromAsync(unauth.copyBackupMedia({ auth: thief, items: copies })), refused)
    assert.ok(await unauth.getMediaBackupInfo({ auth: own.auth('media') }))
  })

  test('deleting all leaves nothing that could be reached', async () => {
    const { unauth } = client.link
    const auth = own.auth('messages')
    const before = await unauth.getMessageBackupInfo({ auth })
    await unauth.backupDeleteAll({ auth })
    assert.notEqual((await unauth.getMessageBackupInfo({ auth })).backupDir, before.backupDir)
  })

  test('a receipt is redeemed, once, by an account that committed', async () => {
    const params = (await server.secrets()).serverSecretParams
    const presentation = new ReceiptCredentialPresentation(receiptPresentation(params, today() + 30 * DAY_S))
    const { auth } = client.link
    await assert.rejects(auth.redeemBackupReceipt({ presentation }), { code: LS.ErrorCode.MissingBackupId })
    const request = {
      messagesBackupAuthCredentialRequest: newBackup(client.account).request,
      mediaBackupAuthCredentialRequest: newBackup(client.account).request,
    }
    await using grpc = GrpcClient.open(server.ready)
    const set = await grpc.call(Backups.rpcs.setBackupId, request, authorizationOf(client.account))
    assert.equal(set.code, 0)
    const seen = async () => {
      const { entitlements } = (await fetchJson(auth, 'GET', '/v1/accounts/whoami')).json
      const { reply } = await grpc.call(Accounts.rpcs.getEntitlements, {}, authorizationOf(client.account))
      return [entitlements, plain(reply!.backup)]
    }
    assert.deepEqual(await seen(), [{ badges: [], backup: null }, null])
    await auth.redeemBackupReceipt({ presentation })
    const expirationSeconds = today() + 30 * DAY_S
    assert.deepEqual(await seen(), [
      { badges: [], backup: { backupLevel: 201, expirationSeconds } },
      { level: 201, expirationEpochSeconds: expirationSeconds },
    ])
    const late = await setUp(2)
    await using https = Https.open(server.ready, 2)
    const { status } = await https.call('POST', '/v1/archives/redeem-receipt', {
      headers: authorizationOf(late.account),
      json: { receiptCredentialPresentation: base64(presentation.serialize()) },
    })
    assert.equal(status, 400)
  })
})

test('credentials by gRPC are those of REST, by day; none is an empty reply', async () => {
  await using grpc = GrpcClient.open(server.ready)
  const { account, own } = await setUp(2)
  const { getBackupAuthCredentials } = Backups.rpcs
  const range = { redemptionStart: today(), redemptionStop: today() + 2 * DAY_S }
  const issued = await grpc.call(getBackupAuthCredentials, range, authorizationOf(account))
  const days = [0, 1, 2].map((day) => String(today() + day * DAY_S))
  const { messageCredentials, mediaCredentials } = issued.reply!.credentials!
  assert.deepEqual(Object.keys(messageCredentials), days)
  assert.deepEqual(Object.keys(mediaCredentials), days)
  const first: BackupAuthCredential = own.media.receive(
    { credential: mediaCredentials[days[0]!]!.credential, redemptionSeconds: today() },
    serverKeys,
  )
  assert.ok(first)
  const newcomer = authorizationOf(await register(server))
  assert.equal((await grpc.call(getBackupAuthCredentials, range, newcomer)).reply!.credentials, null)
  const wrong = { redemptionStart: today(), redemptionStop: today() + 30 * DAY_S }
  assert.equal((await grpc.call(getBackupAuthCredentials, wrong, newcomer)).reason, 'CONSTRAINT_VIOLATED')
})

test('by gRPC: no proof, the wrong kind, no kind of upload, and how a stream says no', async () => {
  await using grpc = GrpcClient.open(server.ready)
  const own = await setUp(2)
  const asked = (kind: BackupKind) => {
    const { presentation, signature } = own.signed(kind)
    return { signedPresentation: { presentation, presentationSignature: signature } }
  }
  const { rpcs } = BackupsAnonymous
  const publicKey = own.own.messages.publicKey
  const isSet = await grpc.call(rpcs.setPublicKey, { ...asked('messages'), publicKey })
  assert.equal(isSet.reply!.response, 'success')
  assert.deepEqual((await grpc.call(rpcs.refresh, {})).fields, ['signed_presentation'])
  assert.equal((await grpc.call(rpcs.getMediaBackupInfo, asked('messages'))).reason, 'BAD_AUTHENTICATION')
  const noType = await grpc.call(rpcs.getUploadForm, { ...asked('messages'), uploadLength: 5 })
  assert.deepEqual(noType.fields, ['upload_type'])
  const unset = await grpc.call(rpcs.refresh, asked('media'))
  assert.equal(unset.reply!.response, 'failedAuthentication')
  const identified = await grpc.call(rpcs.refresh, asked('messages'), authorizationOf(own.account))
  assert.equal(identified.reason, 'BAD_AUTHENTICATION')
  const items = [{ cdn: 3, mediaId: randomBytes(15) }]
  const stream = grpc.stream(rpcs.deleteMedia)
  stream.send({ ...asked('media'), items })
  stream.finish()
  const ended = await stream.ended
  assert.equal(ended['grpc-status'], '10')
  assert.equal(detailsOf(ended).reason, 'STREAM_CLOSED')
  const { details } = Status.decode(Buffer.from(String(ended['grpc-status-details-bin']), 'base64'))
  const closed = details.find(({ type_url }) =>
    type_url.endsWith('/org.signal.chat.backup.BackupStreamClosed'),
  )
  assert.equal(BackupStreamClosed.decode(closed!.value).reason, 'failedAuthentication')
})

test('who keeps no media by the operator’s choice is 403 for media, and not for messages', async () => {
  await using frugal = await Constellation.open({ config: { backups: { level: 'free' } } })
  const keys = (await frugal.secrets()).backupServerSecretParams.getPublicParams()
  const own = await setUp(2, frugal, keys)
  await using https = Https.open(frugal.ready, 2)
  const call = async (method: string, path: string, kind: BackupKind, json?: unknown) => {
    const reply = await https.call(method, `/v1/archives${path}`, {
      headers: zkHeaders(own.signed(kind)),
      ...(json !== undefined && { json }),
    })
    return reply.status
  }
  for (const kind of ['messages', 'media'] as const)
    assert.equal(
      await call('PUT', '/keys', kind, { backupIdPublicKey: base64(own.own[kind].publicKey) }),
      204,
    )
  assert.equal(await call('GET', '/upload/form', 'messages'), 200)
  assert.equal(await call('GET', '/media/upload/form', 'media'), 403)
  assert.equal(await call('PUT', '/media', 'media', copyJson()), 403)
})
