// A small Signal client on libsignal: registers, publishes keys, opens sessions, sends, receives, acknowledges.
import * as LS from '@signalapp/libsignal-client'
import type { Envelope } from '../../wire/gen/envelope.js'
import type { SignalServer } from '../constellation.ts'
import { fetchIdentified, fetchUnidentified, uploadByGrpc, uploadByRest } from './bundles.ts'
import { Conversation, type DeviceRef, ENVELOPE_TYPE } from './conversation.ts'
import { makeOneTimeKeys } from './identity-keys.ts'
import { Inbox } from './inbox.ts'
import { type Delivered, Link } from './link.ts'
import type { HttpVersion } from './net.ts'
import { type Registered, type RegisterOptions, register } from './register.ts'
import { expectStatus, fetchJson } from './rest.ts'
import { senderCertificateFor } from './sender-certificate.ts'
import { Stores } from './stores.ts'

/** Whom one can write to; a SignalClient is one. */
export type Peer = {
  readonly aci: LS.Aci
  readonly pni: LS.Pni
  readonly accessKey: Uint8Array<ArrayBuffer>
}
export type Received = {
  readonly text: string
  /** The sender's service id, as text. */
  readonly from: string
  readonly deviceId: number
  readonly envelope: Envelope
}
export type Receipt = { readonly from: string; readonly timestampMs: number; readonly envelope: Envelope }
export type SendOptions = {
  readonly sealed?: boolean
  /** Which identity of the recipient is addressed. */
  readonly to?: 'aci' | 'pni'
  readonly online?: boolean
  readonly urgent?: boolean
  /** By libsignal's typed call, or by `PUT /v1/messages`; the latter is for identified messages. */
  readonly via?: 'typed' | 'rest'
}
export type ConnectOptions = { readonly receiveStories?: boolean; readonly httpVersion?: HttpVersion }

type Copy<T> = DeviceRef & { readonly contents: T }
type Outgoing = { readonly destination: LS.ServiceId; readonly timestampMs: number } & SendOptions

const MAX_TRIES = 3
/** Envelope types by libsignal's; a whisper message is 2 there and 1 on the wire. */
const wireType = (type: number) => (type === LS.CiphertextMessageType.Whisper ? 1 : type)

export class SignalClient implements AsyncDisposable {
  readonly account: Registered
  /** Everything readable that came in, over all connections. */
  readonly messages = new Inbox<Received>('message')
  readonly receipts = new Inbox<Receipt>('receipt')
  /** What came a second time: an acknowledgement of ours had not reached the server. */
  readonly duplicates = new Inbox<Envelope>('duplicate')
  readonly unreadable = new Inbox<{ envelope: Envelope; error: Error }>('unreadable message')
  /** The answer to a message; nothing leaves it unanswered. Tests may replace it. */
  answer: (delivered: Delivered) => number | undefined = () => 200

  readonly #server: SignalServer
  readonly #httpVersion: HttpVersion
  readonly #conversations: { readonly aci: Conversation; readonly pni: Conversation }
  readonly #stores: { readonly aci: Stores; readonly pni: Stores }
  #link: Link | undefined
  #lastTimestampMs = 0
  #working: Promise<void> = Promise.resolve()

  constructor(server: SignalServer, account: Registered, httpVersion: HttpVersion) {
    this.account = account
    this.#server = server
    this.#httpVersion = httpVersion
    const { keys, aci, pni, deviceId, number } = account
    this.#stores = { aci: new Stores(keys.aci), pni: new Stores(keys.pni) }
    this.#conversations = {
      aci: new Conversation(aci, deviceId, number, this.#stores.aci),
      pni: new Conversation(pni, deviceId, number, this.#stores.pni),
    }
  }

  /** Registers a new number, connects, and publishes a few one-time keys. */
  static async create(
    server: SignalServer,
    options: RegisterOptions & { readonly oneTimeKeys?: number } = {},
  ): Promise<SignalClient> {
    const { httpVersion = 2, oneTimeKeys = 5 } = options
    const client = new SignalClient(server, await register(server, options), httpVersion)
    await client.connect()
    if (oneTimeKeys > 0) await client.uploadPreKeys(oneTimeKeys)
    return client
  }

  get aci(): LS.Aci {
    return this.account.aci
  }
  get pni(): LS.Pni {
    return this.account.pni
  }
  get accessKey(): Uint8Array<ArrayBuffer> {
    return this.account.accessKey
  }

  /** The open connection. */
  get link(): Link {
    if (!this.#link) throw new Error('not connected')
    return this.#link
  }

  /** Opens a new connection, and closes the one before it. */
  async connect(options: ConnectOptions = {}): Promise<Link> {
    await this.disconnect()
    this.#link = await Link.open(this.#server, this.account, {
      httpVersion: this.#httpVersion,
      ...options,
      onDelivered: (delivered) => this.#delivered(delivered),
    })
    return this.#link
  }

  /** Also waits until everything that came in was read, and the server has the answers. */
  async disconnect(): Promise<void> {
    const link = this.#link
    this.#link = undefined
    await this.settled()
    await link?.flush().catch(ignoreLost)
    await link?.close()
  }

  /** Waits until what has come in so far was read and answered. */
  async settled(): Promise<void> {
    await this.#working
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.disconnect()
  }

  /** Publishes the repeated-use keys and `count` one-time keys of each kind, for both identities. */
  async uploadPreKeys(count = 100, via: 'rest' | 'grpc' = 'rest'): Promise<void> {
    const upload = via === 'rest' ? uploadByRest : uploadByGrpc
    for (const identity of ['aci', 'pni'] as const) {
      const keys = this.account.keys[identity]
      const oneTime = makeOneTimeKeys(keys.pair, count)
      const { preKeys, kyberPreKeys } = this.#stores[identity]
      for (const key of oneTime.ec) await preKeys.savePreKey(key.id(), key)
      for (const key of oneTime.kyber) kyberPreKeys.saveOneTime(key)
      await upload(this.link.auth, identity, keys, oneTime)
    }
  }

  /** Sends to every device of somebody; resolves when the server has it on disk. Gives the message's timestamp. */
  async sendText(peer: Peer, text: string, options: SendOptions = {}): Promise<number> {
    const destination = options.to === 'pni' ? peer.pni : peer.aci
    const timestampMs = this.nextTimestamp()
    const bytes = new Uint8Array(Buffer.from(text))
    for (let attempt = 1; ; attempt++) {
      try {
        const devices = await this.#devicesOf(peer, destination, options)
        await this.#send(devices, bytes, { ...options, destination, timestampMs }, peer)
        return timestampMs
      } catch (error) {
        if (attempt === MAX_TRIES || !LS.LibSignalErrorBase.is(error, LS.ErrorCode.MismatchedDevices))
          throw error
        await this.#adapt(peer, destination, error.entries, options)
      }
    }
  }

  /** Sends to the account's other devices. */
  async sendSyncText(text: string): Promise<number> {
    const timestamp = this.nextTimestamp()
    const devices = await this.#devicesOf(this, this.aci, {})
    const bytes = new Uint8Array(Buffer.from(text))
    const contents = await this.#each(devices, (id) => this.#conversations.aci.encrypt(this.aci, id, bytes))
    await this.link.auth.sendSyncMessage({ timestamp, contents, urgent: true })
    return timestamp
  }

  /** Milliseconds that no other message of this client has. */
  nextTimestamp(): number {
    this.#lastTimestampMs = Math.max(Date.now(), this.#lastTimestampMs + 1)
    return this.#lastTimestampMs
  }

  /** One ciphertext for each device of somebody, opening sessions where there are none; for tests of the wire. */
  async encryptFor(peer: Peer, text: string): Promise<Copy<LS.CiphertextMessage>[]> {
    const devices = await this.#devicesOf(peer, peer.aci, {})
    const bytes = new Uint8Array(Buffer.from(text))
    return this.#each(devices, (id) => this.#conversations.aci.encrypt(peer.aci, id, bytes))
  }

  async #devicesOf(peer: Peer, destination: LS.ServiceId, options: SendOptions): Promise<DeviceRef[]> {
    const known = await this.#conversations.aci.devicesOf(destination)
    if (known.length > 0) return known
    await this.#open(peer, destination, '*', options)
    return this.#conversations.aci.devicesOf(destination)
  }

  async #open(
    peer: Peer,
    destination: LS.ServiceId,
    device: number | '*',
    options: SendOptions,
  ): Promise<void> {
    const bundles = options.sealed
      ? await fetchUnidentified(this.link.unauth, destination, device, peer.accessKey)
      : await fetchIdentified(this.link.auth, destination, device)
    for (const bundle of bundles)
      if (!this.#isOwnDevice(destination, bundle.deviceId()))
        await this.#conversations.aci.open(destination, bundle)
  }

  #isOwnDevice(destination: LS.ServiceId, deviceId: number): boolean {
    return destination.isEqual(this.aci) && deviceId === this.account.deviceId
  }

  /** Makes the sessions what the server says the recipient's devices are. */
  async #adapt(
    peer: Peer,
    destination: LS.ServiceId,
    entries: readonly LS.MismatchedDevicesEntry[],
    options: SendOptions,
  ): Promise<void> {
    for (const { missingDevices, extraDevices, staleDevices } of entries) {
      for (const id of [...extraDevices, ...staleDevices]) this.#conversations.aci.forget(destination, id)
      for (const id of [...missingDevices, ...staleDevices]) await this.#open(peer, destination, id, options)
    }
  }

  async #send(
    devices: readonly DeviceRef[],
    text: Uint8Array<ArrayBuffer>,
    outgoing: Outgoing,
    peer: Peer,
  ): Promise<void> {
    const { aci: conversation } = this.#conversations
    const { destination } = outgoing
    if (outgoing.sealed) {
      const { aci, number, deviceId, keys } = this.account
      const certificate = senderCertificateFor(aci, number, deviceId, keys.aci.pair.publicKey)
      const contents = await this.#each(devices, (id) =>
        conversation.seal(destination, id, text, certificate),
      )
      const { onlineOnly, urgent, timestamp } = typedOptions(outgoing)
      const auth = { accessKey: peer.accessKey }
      await this.link.unauth.sendMessage({ destination, timestamp, contents, auth, onlineOnly, urgent })
      return
    }
    const contents = await this.#each(devices, (id) => conversation.encrypt(destination, id, text))
    if (outgoing.via === 'rest') await this.#put(contents, outgoing)
    else await this.link.auth.sendMessage({ destination, contents, ...typedOptions(outgoing) })
  }

  async #put(copies: readonly Copy<LS.CiphertextMessage>[], outgoing: Outgoing): Promise<void> {
    const path = `/v1/messages/${outgoing.destination.getServiceIdString()}`
    const messages = copies.map(({ deviceId, registrationId, contents }) => ({
      type: wireType(contents.type()),
      destinationDeviceId: deviceId,
      destinationRegistrationId: registrationId,
      content: Buffer.from(contents.serialize()).toString('base64'),
    }))
    const { onlineOnly: online, urgent, timestamp } = typedOptions(outgoing)
    expectStatus(200, await fetchJson(this.link.auth, 'PUT', path, { messages, online, urgent, timestamp }))
  }

  #each<T>(devices: readonly DeviceRef[], make: (deviceId: number) => Promise<T>): Promise<Copy<T>[]> {
    return Promise.all(devices.map(async (device) => ({ ...device, contents: await make(device.deviceId) })))
  }

  /** One after the other: a session's messages are read in their order. */
  #delivered(delivered: Delivered): void {
    this.#working = this.#working.then(() => this.#take(delivered))
  }

  async #take(delivered: Delivered): Promise<void> {
    await this.#read(delivered.envelope)
    const status = this.answer(delivered)
    if (status !== undefined) delivered.ack(status)
  }

  async #read(envelope: Envelope): Promise<void> {
    if (envelope.type === ENVELOPE_TYPE.receipt) {
      const from = serviceIdText(envelope.sourceServiceId)
      this.receipts.put({ from, timestampMs: envelope.clientTimestamp, envelope })
      return
    }
    try {
      const conversation = this.#conversations[isPni(envelope.destinationServiceId) ? 'pni' : 'aci']
      const { bytes, from, deviceId } = await conversation.decrypt(envelope)
      this.messages.put({ text: Buffer.from(bytes).toString('utf8'), from, deviceId, envelope })
    } catch (error) {
      if (LS.LibSignalErrorBase.is(error, LS.ErrorCode.DuplicatedMessage)) this.duplicates.put(envelope)
      else this.unreadable.put({ envelope, error: error as Error })
    }
  }
}

/** A connection that broke is what disconnecting wants, too. */
function ignoreLost(error: unknown): void {
  const lost = [
    LS.ErrorCode.ChatServiceInactive,
    LS.ErrorCode.ConnectedElsewhere,
    LS.ErrorCode.ConnectionInvalidated,
    LS.ErrorCode.IoError,
  ]
  if (!lost.some((code) => LS.LibSignalErrorBase.is(error, code))) throw error
}

const typedOptions = ({ timestampMs, online = false, urgent = true }: Outgoing) => ({
  timestamp: timestampMs,
  onlineOnly: online,
  urgent,
})

const isPni = (serviceId: Uint8Array) => serviceId.length === 17
const serviceIdText = (bytes: Uint8Array) =>
  LS.ServiceId.parseFromServiceIdBinary(new Uint8Array(bytes)).getServiceIdString()
