// A small Signal client on libsignal: registers, publishes keys, opens sessions, sends, receives, acknowledges.
import * as LS from '@signalapp/libsignal-client'
import type { Envelope } from '../../wire/gen/envelope.js'
import type { SignalServer } from '../constellation.ts'
import { uploadByGrpc, uploadByRest } from './bundles.ts'
import { Conversation, ENVELOPE_TYPE } from './conversation.ts'
import { makeOneTimeKeys } from './identity-keys.ts'
import { Inbox } from './inbox.ts'
import { type Delivered, Link } from './link.ts'
import type { HttpVersion } from './net.ts'
import { type Registered, type RegisterOptions, register } from './register.ts'
import { type Copy, type Peer, Sender, type SendOptions } from './sender.ts'
import { trustRootOf } from './sender-certificate.ts'
import { Stores } from './stores.ts'

export type Received = {
  readonly text: string
  /** The sender's service id, as text. */
  readonly from: string
  readonly deviceId: number
  readonly envelope: Envelope
}
export type Receipt = { readonly from: string; readonly timestampMs: number; readonly envelope: Envelope }
export type { Peer, SendOptions }
export type ConnectOptions = { readonly receiveStories?: boolean; readonly httpVersion?: HttpVersion }

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
  readonly #sender: Sender
  #link: Link | undefined
  #working: Promise<void> = Promise.resolve()

  constructor(server: SignalServer, account: Registered, httpVersion: HttpVersion) {
    this.account = account
    this.#server = server
    this.#httpVersion = httpVersion
    const { keys, aci, pni } = account
    const trustRoot = trustRootOf(server)
    this.#stores = { aci: new Stores(keys.aci), pni: new Stores(keys.pni) }
    this.#conversations = {
      aci: new Conversation(aci, account, this.#stores.aci, trustRoot),
      pni: new Conversation(pni, account, this.#stores.pni, trustRoot),
    }
    this.#sender = new Sender(account, this.#conversations.aci, () => this.link)
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
  sendText(peer: Peer, text: string, options: SendOptions = {}): Promise<number> {
    return this.#sender.send(peer, text, options)
  }

  /** Sends to the account's other devices. */
  sendSyncText(text: string): Promise<number> {
    return this.#sender.sendSync(text)
  }

  /** Milliseconds that no other message of this client has. */
  nextTimestamp(): number {
    return this.#sender.nextTimestamp()
  }

  /** One ciphertext for each device of somebody, opening sessions where there are none; for tests of the wire. */
  encryptFor(peer: Peer, text: string): Promise<Copy<LS.CiphertextMessage>[]> {
    return this.#sender.encrypt(peer, peer.aci, new Uint8Array(Buffer.from(text)), {})
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

const isPni = (serviceId: Uint8Array) => serviceId.length === 17
const serviceIdText = (bytes: Uint8Array) =>
  LS.ServiceId.parseFromServiceIdBinary(new Uint8Array(bytes)).getServiceIdString()
