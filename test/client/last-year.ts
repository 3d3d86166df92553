// A client as it was a year ago: HTTP/1.1, classic websockets, every call a REST request, byte for byte what
// signal-cli 0.13.19 sends (shared/reference/signal-cli.md). It reads only the text ids of an envelope.
import { randomBytes } from 'node:crypto'
import * as LS from '@signalapp/libsignal-client'
import type { PostForm } from '../../server/kit/post-policy.ts'
import { Envelope } from '../../wire/gen/envelope.js'
import { decodeFrame, type RequestFrame } from '../../wire/websocket.ts'
import type { SignalServer } from '../constellation.ts'
import { FORM_TYPE, formBody, formFields } from '../files/post-form.ts'
import { type BundleJson, bundlesOf } from './bundles.ts'
import { basic, Https } from './https.ts'
import {
  base64,
  ecJson,
  type IdentityKeys,
  makeIdentityKeys,
  makeOneTimeKeys,
  signedJson,
} from './identity-keys.ts'
import { Inbox } from './inbox.ts'
import { RawSocket } from './raw-socket.ts'
import { RecordKeeper, type StorageCredentials } from './record-keeper.ts'
import { newNumber } from './register.ts'
import { expectStatus, type Reply, toReply } from './rest.ts'
import { Stores } from './stores.ts'

const USER_AGENT = 'Signal-Android/7.56.6 signal-cli/0.13.19'
const ONE_TIME_KEYS = 100
const TEXT_OF_TYPE: Readonly<Record<number, 'message' | 'pre-key message' | 'receipt' | 'sealed'>> = {
  1: 'message',
  3: 'pre-key message',
  5: 'receipt',
  6: 'sealed',
}

/** That year's JSON had no padding in signatures and Kyber keys. */
const unpadded = ({ keyId, publicKey, signature }: ReturnType<typeof signedJson>) => ({
  keyId,
  publicKey: publicKey.replace(/=+$/, ''),
  signature: signature.replace(/=+$/, ''),
})

export type Identity = 'aci' | 'pni'
export type Told = {
  readonly text: string
  readonly from: string
  readonly deviceId: number
  readonly sealed: boolean
}
export type Whom = { readonly aci: string; readonly accessKey?: Uint8Array | undefined }

export class LastYear implements AsyncDisposable {
  readonly server: SignalServer
  readonly number: string
  readonly password: string
  readonly accessKey: Uint8Array<ArrayBuffer>
  readonly keys: Readonly<Record<Identity, IdentityKeys>>
  readonly told = new Inbox<Told>('message')
  /** Timestamps of the messages that were delivered. */
  readonly receipts = new Inbox<number>('receipt')
  readonly #stores: Readonly<Record<Identity, Stores>>
  readonly #https: Https
  /** Those with whom there are sessions. */
  readonly #devices = new Map<string, number[]>()
  #deviceId = 1
  #aci = ''
  #pni = ''
  #own: RawSocket | undefined
  #strange: RawSocket | undefined
  #reading: Promise<void> = Promise.resolve()
  #lastTimestampMs = 0

  /** `primary`: whose second device this one becomes, by `link`. */
  constructor(server: SignalServer, primary?: LastYear) {
    this.server = server
    this.number = primary?.number ?? newNumber()
    this.password = randomBytes(18).toString('base64')
    this.accessKey = primary?.accessKey ?? new Uint8Array(randomBytes(16))
    this.keys = {
      aci: makeIdentityKeys(primary?.keys.aci.pair),
      pni: makeIdentityKeys(primary?.keys.pni.pair),
    }
    this.#stores = { aci: new Stores(this.keys.aci), pni: new Stores(this.keys.pni) }
    this.#https = Https.open(server.ready, 1)
  }

  get deviceId(): number {
    return this.#deviceId
  }
  get aci(): string {
    return this.#aci
  }
  get pni(): string {
    return this.#pni
  }
  get #address(): LS.ProtocolAddress {
    return LS.ProtocolAddress.new(this.#aci, this.deviceId)
  }

  /** `register` and `verify`: the number is proven, the account made, a hundred keys of each kind published. */
  async register(more: object = {}): Promise<void> {
    const session = await this.verifiedSession(this.number)
    const body = {
      sessionId: session,
      accountAttributes: this.attributes,
      ...this.identityJson,
      skipDeviceTransfer: true,
      requireAtomic: true,
      ...more,
    }
    const registered = await this.plain('POST', '/v1/registration', body, this.#credentials(this.number))
    expectStatus(200, registered)
    this.#aci = registered.json.uuid
    this.#pni = registered.json.pni
    await this.connect()
    await this.publish('aci')
    await this.publish('pni')
  }

  /** `link`, with the token that the primary device was given; then as `register` goes on. */
  async link(token: string): Promise<void> {
    const { aciIdentityKey: _, pniIdentityKey: __, ...keys } = this.identityJson
    const body = {
      verificationCode: token,
      accountAttributes: {
        ...this.attributes,
        name: base64(randomBytes(60)),
        capabilities: { ...this.attributes.capabilities, attachmentBackfill: true, spqr: true },
      },
      ...keys,
    }
    const linked = await this.plain('PUT', '/v1/devices/link', body, this.#credentials(this.number))
    expectStatus(200, linked)
    this.#aci = linked.json.uuid
    this.#pni = linked.json.pni
    this.#deviceId = linked.json.deviceId
    await this.connect()
    await this.publish('aci')
    await this.publish('pni')
    await this.send({ aci: this.#aci }, 'Tell me what you know')
  }

  /** Proves another number and goes on with it; gives the answer. */
  async changeNumber(number: string): Promise<Reply> {
    const sessionId = await this.verifiedSession(number)
    const pair = LS.IdentityKeyPair.generate()
    const own = String(this.deviceId)
    const { signedPreKey, lastResortPreKey, registrationId } = makeIdentityKeys(pair)
    return this.ask('PUT', '/v2/accounts/number', {
      sessionId,
      recoveryPassword: null,
      number,
      pniIdentityKey: base64(pair.publicKey.serialize()),
      deviceMessages: [],
      devicePniSignedPrekeys: { [own]: unpadded(signedJson(signedPreKey)) },
      pniRegistrationIds: { [own]: registrationId },
      reglock: null,
      devicePniPqLastResortPrekeys: { [own]: unpadded(signedJson(lastResortPreKey)) },
    })
  }

  async verifiedSession(number: string): Promise<string> {
    const made = await this.plain('POST', '/v1/verification/session', { number, mcc: '', mnc: '' })
    expectStatus(200, made)
    const path = `/v1/verification/session/${made.json.id}/code`
    const asked = await this.plain(
      'POST',
      path,
      { client: 'android', transport: 'sms' },
      { 'accept-language': 'en-US' },
    )
    expectStatus(200, asked)
    const proven = await this.plain('PUT', path, { code: await this.server.codeFor(number) })
    expectStatus(200, proven)
    return made.json.id as string
  }

  get attributes() {
    return {
      signalingKey: null,
      registrationId: this.keys.aci.registrationId,
      voice: false,
      video: false,
      fetchesMessages: true,
      registrationLock: null as string | null,
      unidentifiedAccessKey: base64(this.accessKey),
      unrestrictedUnidentifiedAccess: false,
      discoverableByPhoneNumber: true,
      capabilities: { storage: true, versionedExpirationTimer: true, attachmentBackfill: false, spqr: false },
      name: null,
      pniRegistrationId: this.keys.pni.registrationId,
      recoveryPassword: null as string | null,
    }
  }

  get identityJson() {
    const { aci, pni } = this.keys
    return {
      aciIdentityKey: base64(aci.pair.publicKey.serialize()),
      pniIdentityKey: base64(pni.pair.publicKey.serialize()),
      aciSignedPreKey: unpadded(signedJson(aci.signedPreKey)),
      pniSignedPreKey: unpadded(signedJson(pni.signedPreKey)),
      aciPqLastResortPreKey: unpadded(signedJson(aci.lastResortPreKey)),
      pniPqLastResortPreKey: unpadded(signedJson(pni.lastResortPreKey)),
    }
  }

  /** Opens the authenticated socket: messages are read and acknowledged from here on. */
  async connect(): Promise<void> {
    await this.#own?.close()
    const login = this.deviceId === 1 ? this.#aci : `${this.#aci}.${this.deviceId}`
    this.#own = await RawSocket.open(this.server.ready, 1, {
      headers: {
        ...this.#agent,
        'x-signal-receive-stories': 'true',
        authorization: basic(login, this.password),
      },
    })
    this.#serve(this.#own)
  }

  /** What every command began with. */
  async preamble(): Promise<void> {
    expectStatus(204, await this.ask('PUT', '/v1/accounts/attributes', this.attributes))
    for (const identity of ['aci', 'pni'] as const) {
      const counted = await this.ask('GET', `/v2/keys?identity=${identity}`)
      expectStatus(200, counted)
      if (counted.json.count < 10 || counted.json.pqCount < 10) await this.publish(identity)
    }
  }

  async publish(identity: Identity): Promise<void> {
    const { pair } = this.keys[identity]
    const oneTime = makeOneTimeKeys(pair, ONE_TIME_KEYS)
    for (const key of oneTime.ec) await this.#stores[identity].preKeys.savePreKey(key.id(), key)
    for (const key of oneTime.kyber) this.#stores[identity].kyberPreKeys.saveOneTime(key)
    const body = {
      preKeys: oneTime.ec.map(ecJson),
      signedPreKey: null,
      pqLastResortPreKey: null,
      pqPreKeys: oneTime.kyber.map((key) => unpadded(signedJson(key))),
    }
    expectStatus(200, await this.ask('PUT', `/v2/keys?identity=${identity}`, body))
  }

  /** Sends to every device of somebody, sealed if their access key is known. Gives the message's timestamp. */
  async send(whom: Whom, text: string): Promise<number> {
    this.#lastTimestampMs = Math.max(Date.now(), this.#lastTimestampMs + 1)
    const timestamp = this.#lastTimestampMs
    for (let attempt = 0; attempt < 3; attempt++) {
      const messages = await this.#copies(whom, text)
      const body = { destination: whom.aci, timestamp, messages, online: false, urgent: true }
      const path = `/v1/messages/${whom.aci}?story=false`
      const sent = await (whom.accessKey
        ? this.askUnknown('PUT', path, body, { 'unidentified-access-key': base64(whom.accessKey) })
        : this.ask('PUT', path, body))
      if (sent.status === 200) return timestamp
      await this.#adapt(whom, sent)
    }
    throw new Error('the devices of the recipient change too often')
  }

  /** `send` with an attachment: the upload as CDN 2 has it. Gives the object's key. */
  async upload(content: Uint8Array): Promise<string> {
    const { cdn, key, headers, signedUploadLocation } = await this.#attachmentForm()
    if (cdn !== 2) throw new Error(`a form for CDN ${cdn}`)
    const { host: _, ...signed } = headers
    const opened = await this.#https.call('POST', this.#onCdn(2, signedUploadLocation), { headers: signed })
    expectStatus(201, opened)
    const { pathname, search } = new URL(opened.headers['location']!)
    const put = (range: string, body?: Uint8Array) =>
      this.#https.call('PUT', pathname + search, {
        headers: { 'content-range': range },
        ...(body && { body }),
      })
    const size = content.length
    const asked = await put(`bytes */${size}`)
    expectStatus(308, asked)
    const offset = Number(/^bytes=0-(\d+)$/.exec(asked.headers['range'] ?? '')?.[1] ?? -1) + 1
    expectStatus(200, await put(`bytes ${offset}-${size - 1}/${size}`, content.subarray(offset)))
    return key
  }

  async #attachmentForm() {
    const form = await this.ask('GET', '/v4/attachments/form/upload')
    expectStatus(200, form)
    return form.json as {
      readonly cdn: number
      readonly key: string
      readonly headers: Readonly<Record<string, string>>
      readonly signedUploadLocation: string
    }
  }

  /** `updateProfile --avatar`: what the form of a profile allows is posted to CDN 0. */
  async postAvatar(form: PostForm, content: Uint8Array): Promise<Reply> {
    const body = formBody(formFields(form), content)
    return this.#https.call('POST', this.#onCdn(0, '/'), { headers: FORM_TYPE, body })
  }

  download(cdn: 0 | 2, key: string): Promise<Reply> {
    return this.#https.call('GET', this.#onCdn(cdn, `/${key}`))
  }

  /** It takes the path of an address and puts it behind the CDN's own, which then is there twice. */
  #onCdn(cdn: 0 | 2, address: string): string {
    const own = new URL(this.server.ready.urls[`cdn${cdn}`]).pathname
    const { pathname, search } = new URL(address, 'https://path.only')
    return own + pathname + search
  }

  /** On the authenticated socket. */
  ask(verb: string, path: string, body?: unknown, headers = {}): Promise<Reply> {
    if (!this.#own) throw new Error('not connected')
    return askOn(this.#own, verb, path, body, headers)
  }

  /** On a socket that nobody is known by. */
  async askUnknown(verb: string, path: string, body?: unknown, headers = {}): Promise<Reply> {
    this.#strange ??= await RawSocket.open(this.server.ready, 1, { headers: this.#agent })
    return askOn(this.#strange, verb, path, body, headers)
  }

  /** Over plain HTTPS. */
  plain(verb: string, path: string, body?: unknown, headers = {}): Promise<Reply> {
    const json = body === undefined ? {} : { json: body }
    return this.#https.call(verb, path, { ...json, headers: { ...this.#agent, ...headers } })
  }

  /** Its encrypted records: credentials come by the authenticated socket, before each request. */
  keeper(): RecordKeeper {
    const https = Https.open(this.server.ready, 1, 'storage')
    return new RecordKeeper(https, async () => {
      const given = await this.ask('GET', '/v1/storage/auth')
      expectStatus(200, given)
      return given.json as StorageCredentials
    })
  }

  /** How the authenticated socket was closed. */
  closed(): Promise<{ code: number; reason: string }> {
    if (!this.#own) throw new Error('not connected')
    return this.#own.closed()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#reading
    await this.#own?.close()
    await this.#strange?.close()
    await this.#https[Symbol.asyncDispose]()
  }

  get #agent() {
    return { 'user-agent': USER_AGENT, 'x-signal-agent': 'OWA' }
  }

  #credentials(user: string) {
    return { authorization: basic(user, this.password) }
  }

  async #copies(whom: Whom, text: string) {
    const { sessions } = this.#stores.aci
    const others = (ids: number[]) => ids.filter((id) => whom.aci !== this.#aci || id !== this.deviceId)
    const known = others(this.#devices.get(whom.aci) ?? (await this.#open(whom, '*')))
    const certificate = whom.accessKey && (await this.#certificate())
    return Promise.all(
      known.map(async (deviceId) => {
        const record = await sessions.getSession(LS.ProtocolAddress.new(whom.aci, deviceId))
        const { type, content } = await this.#encrypt(whom, deviceId, text, certificate)
        return {
          type,
          destinationDeviceId: deviceId,
          destinationRegistrationId: record!.remoteRegistrationId(),
          content: base64(content),
        }
      }),
    )
  }

  async #encrypt(
    whom: Whom,
    deviceId: number,
    text: string,
    certificate: LS.SenderCertificate | undefined,
  ): Promise<{ type: number; content: Uint8Array }> {
    const { sessions, identities } = this.#stores.aci
    const address = LS.ProtocolAddress.new(whom.aci, deviceId)
    const plaintext = new Uint8Array(Buffer.from(text))
    if (certificate) {
      const sealed = await LS.sealedSenderEncryptMessage(
        plaintext,
        address,
        certificate,
        sessions,
        identities,
      )
      return { type: 6, content: sealed }
    }
    const message = await LS.signalEncrypt(plaintext, address, this.#address, sessions, identities)
    const type = message.type() === LS.CiphertextMessageType.Whisper ? 1 : message.type()
    return { type, content: message.serialize() }
  }

  /** Fetched for every send, never kept. */
  async #certificate(): Promise<LS.SenderCertificate> {
    const given = await this.ask('GET', '/v1/certificate/delivery?includeE164=false')
    expectStatus(200, given)
    return LS.SenderCertificate.deserialize(
      new Uint8Array(Buffer.from(given.json.certificate as string, 'base64')),
    )
  }

  async #open(whom: Whom, device: number | '*'): Promise<number[]> {
    const path = `/v2/keys/${whom.aci}/${device}`
    const given = await (whom.accessKey
      ? this.askUnknown('GET', path, undefined, { 'unidentified-access-key': base64(whom.accessKey) })
      : this.ask('GET', path))
    expectStatus(200, given)
    const { sessions, identities } = this.#stores.aci
    for (const bundle of bundlesOf(given.json as BundleJson)) {
      const address = LS.ProtocolAddress.new(whom.aci, bundle.deviceId())
      await LS.processPreKeyBundle(bundle, address, this.#address, sessions, identities)
      this.#know(whom.aci, bundle.deviceId())
    }
    return this.#devices.get(whom.aci) ?? []
  }

  #know(aci: string, deviceId: number): void {
    const known = this.#devices.get(aci) ?? []
    if (!known.includes(deviceId)) this.#devices.set(aci, [...known, deviceId])
  }

  async #adapt(whom: Whom, { status, json }: Reply): Promise<void> {
    if (status !== 409) throw new Error(`a send was answered ${status}`)
    const extra = json.extraDevices as number[]
    this.#devices.set(
      whom.aci,
      (this.#devices.get(whom.aci) ?? []).filter((id) => !extra.includes(id)),
    )
    for (const id of json.missingDevices as number[]) await this.#open(whom, id)
  }

  /** One after the other; each is answered 200 once it is read, whatever it was. */
  #serve(socket: RawSocket): void {
    socket.websocket.on('message', (data) => {
      const frame = decodeFrame(data as Buffer)
      if (frame?.kind !== 'request') return
      this.#reading = this.#reading
        .then(() => (frame.path === '/api/v1/message' ? this.#take(frame) : undefined))
        .then(() => socket.answer(frame, 200))
    })
  }

  async #take({ body }: RequestFrame): Promise<void> {
    const envelope = Envelope.decode(body!)
    const kind = TEXT_OF_TYPE[envelope.type]
    if (kind === 'receipt') return this.receipts.put(envelope.clientTimestamp)
    const told = kind === 'sealed' ? await this.#unseal(envelope) : await this.#decrypt(envelope)
    this.#know(told.from, told.deviceId)
    this.told.put(told)
  }

  async #decrypt(envelope: Envelope): Promise<Told> {
    const from = envelope.sourceServiceIdText
    const address = LS.ProtocolAddress.new(from, envelope.sourceDevice)
    const content = new Uint8Array(envelope.content)
    const { sessions, identities, preKeys, signedPreKeys, kyberPreKeys } = this.#stores.aci
    const bytes =
      envelope.type === 1
        ? await LS.signalDecrypt(
            LS.SignalMessage.deserialize(content),
            address,
            this.#address,
            sessions,
            identities,
          )
        : await LS.signalDecryptPreKey(
            LS.PreKeySignalMessage.deserialize(content),
            address,
            this.#address,
            sessions,
            identities,
            preKeys,
            signedPreKeys,
            kyberPreKeys,
          )
    return { text: Buffer.from(bytes).toString(), from, deviceId: envelope.sourceDevice, sealed: false }
  }

  async #unseal(envelope: Envelope): Promise<Told> {
    const { sessions, identities, preKeys, signedPreKeys, kyberPreKeys } = this.#stores.aci
    const root = this.server.ready.keys.unidentifiedSenderTrustRoots[0]!
    const opened = await LS.sealedSenderDecryptMessage(
      new Uint8Array(envelope.content),
      LS.PublicKey.deserialize(new Uint8Array(Buffer.from(root, 'base64'))),
      envelope.serverTimestamp,
      this.number,
      this.#aci,
      this.deviceId,
      sessions,
      identities,
      preKeys,
      signedPreKeys,
      kyberPreKeys,
    )
    const text = Buffer.from(opened.message()).toString()
    return { text, from: opened.senderUuid(), deviceId: opened.deviceId(), sealed: true }
  }
}

async function askOn(
  socket: RawSocket,
  verb: string,
  path: string,
  body: unknown,
  headers: Readonly<Record<string, string>>,
): Promise<Reply> {
  const type = body === undefined ? [] : ['content-type:application/json']
  const lines = [...type, ...Object.entries(headers).map(([name, value]) => `${name}:${value}`)]
  const bytes = Buffer.from(body === undefined ? '' : JSON.stringify(body))
  const answer = await socket.ask(verb, path, lines, bytes)
  const pairs = answer.headers.map((line): [string, string] => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon), line.slice(colon + 1)]
  })
  return toReply(answer.status, pairs, answer.body)
}
