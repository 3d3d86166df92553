// One connection of a client: its authenticated socket and an unauthenticated one beside it.
import * as LS from '@signalapp/libsignal-client'
import { Envelope } from '../../wire/gen/envelope.js'
import type { SignalServer } from '../constellation.ts'
import { within } from '../within.ts'
import { type AuthChat, type HttpVersion, openNet, type UnauthChat } from './net.ts'
import type { Registered } from './register.ts'
import { fetchJson } from './rest.ts'

export type Delivered = {
  readonly envelope: Envelope
  /** The server's clock when it handed the message over. */
  readonly deliveredAtMs: number
  /** Answers the server; 200 makes it forget the message. */
  ack(status: number): void
}

export type LinkOptions = {
  readonly httpVersion: HttpVersion
  readonly receiveStories?: boolean
  readonly onDelivered: (delivered: Delivered) => void
}

export class Link {
  readonly auth: AuthChat
  readonly unauth: UnauthChat
  readonly #events: Events

  private constructor(auth: AuthChat, unauth: UnauthChat, events: Events) {
    this.auth = auth
    this.unauth = unauth
    this.#events = events
  }

  static async open(server: SignalServer, account: Registered, options: LinkOptions): Promise<Link> {
    const net = openNet(server.ready, options.httpVersion)
    const events = new Events(options.onDelivered)
    const username = `${account.aci.getServiceIdString()}.${account.deviceId}`
    const [auth, unauth] = await Promise.all([
      net.connectAuthenticatedChat(username, account.password, options.receiveStories ?? false, events),
      net.connectUnauthenticatedChat({ onConnectionInterrupted: () => events.unauthEnded.resolve() }),
    ])
    return new Link(auth as AuthChat, unauth as UnauthChat, events)
  }

  /** The server's word that everything that was waiting has been handed over. */
  queueEmpty(): Promise<void> {
    return within(this.#events.queueEmpty.promise, 'queue/empty')
  }

  get timesQueueEmpty(): number {
    return this.#events.timesQueueEmpty
  }

  /** Why the authenticated socket ended; null if this side closed it. */
  interrupted(): Promise<LS.LibSignalError | null> {
    return within(this.#events.interrupted.promise, 'the connection to end')
  }

  get isOpen(): boolean {
    return !this.#events.ended
  }

  /** Waits until the server has read every answer that was given so far. */
  async flush(): Promise<void> {
    if (this.isOpen) await fetchJson(this.auth, 'GET', '/v1/keepalive')
  }

  /** Also waits for the library's last events: it aborts a process that ends before them. */
  async close(): Promise<void> {
    await Promise.all([this.auth.disconnect(), this.unauth.disconnect()])
    await this.interrupted()
    await within(this.#events.unauthEnded.promise, 'the unauthenticated connection to end')
  }
}

/** A message whose answer finds the connection closed comes again on the next. */
function answer(ack: LS.Net.ChatServerMessageAck, status: number): void {
  try {
    ack.send(status)
  } catch (error) {
    if (!LS.LibSignalErrorBase.is(error, LS.ErrorCode.ChatServiceInactive)) throw error
  }
}

class Events implements LS.Net.ChatServiceListener {
  readonly queueEmpty = Promise.withResolvers<void>()
  readonly interrupted = Promise.withResolvers<LS.LibSignalError | null>()
  readonly unauthEnded = Promise.withResolvers<void>()
  timesQueueEmpty = 0
  ended = false
  readonly #onDelivered: (delivered: Delivered) => void

  constructor(onDelivered: (delivered: Delivered) => void) {
    this.#onDelivered = onDelivered
  }

  onIncomingMessage(
    envelope: Uint8Array<ArrayBuffer>,
    deliveredAtMs: number,
    ack: LS.Net.ChatServerMessageAck,
  ): void {
    this.#onDelivered({
      envelope: Envelope.decode(envelope),
      deliveredAtMs,
      ack: (status) => answer(ack, status),
    })
  }

  onQueueEmpty(): void {
    this.timesQueueEmpty++
    this.queueEmpty.resolve()
  }

  onConnectionInterrupted(cause: LS.LibSignalError | null): void {
    this.ended = true
    this.interrupted.resolve(cause)
  }
}
