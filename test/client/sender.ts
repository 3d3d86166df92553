// How one device sends: sessions with every device of the recipient, one ciphertext each, again if the devices changed.
import * as LS from '@signalapp/libsignal-client'
import { fetchIdentified, fetchUnidentified } from './bundles.ts'
import type { Conversation, DeviceRef } from './conversation.ts'
import type { Link } from './link.ts'
import type { Registered } from './register.ts'
import { expectStatus, fetchJson } from './rest.ts'
import { OwnCertificate } from './sender-certificate.ts'

/** Whom one can write to; a SignalClient is one. */
export type Peer = {
  readonly aci: LS.Aci
  readonly pni: LS.Pni
  readonly accessKey: Uint8Array<ArrayBuffer>
}
export type SendOptions = {
  readonly sealed?: boolean
  /** Which identity of the recipient is addressed. */
  readonly to?: 'aci' | 'pni'
  readonly online?: boolean
  readonly urgent?: boolean
  /** By libsignal's typed call, or by `PUT /v1/messages`; the latter is for identified messages. */
  readonly via?: 'typed' | 'rest'
}

/** One device's copy of a message. */
export type Copy<T> = DeviceRef & { readonly contents: T }
type Bytes = Uint8Array<ArrayBuffer>
type Outgoing = SendOptions & {
  readonly peer: Peer
  readonly destination: LS.ServiceId
  readonly text: Bytes
  readonly timestampMs: number
}

const MAX_TRIES = 3
const bytesOf = (text: string): Bytes => new Uint8Array(Buffer.from(text))
/** Envelope types by libsignal's; a whisper message is 2 there and 1 on the wire. */
const wireType = (type: number) => (type === LS.CiphertextMessageType.Whisper ? 1 : type)
const typedOptions = ({ timestampMs, online = false, urgent = true }: Outgoing) => ({
  timestamp: timestampMs,
  onlineOnly: online,
  urgent,
})

export class Sender {
  readonly #account: Registered
  readonly #conversation: Conversation
  readonly #link: () => Link
  readonly #certificate: OwnCertificate
  #lastTimestampMs = 0

  /** `link`: the connection of the moment. */
  constructor(account: Registered, conversation: Conversation, link: () => Link) {
    this.#account = account
    this.#certificate = new OwnCertificate(account.number !== '')
    this.#conversation = conversation
    this.#link = link
  }

  /** Milliseconds that no other message of this device has. */
  nextTimestamp(): number {
    this.#lastTimestampMs = Math.max(Date.now(), this.#lastTimestampMs + 1)
    return this.#lastTimestampMs
  }

  /** Resolves when the server has the message on disk. Gives its timestamp. */
  async send(peer: Peer, text: string, options: SendOptions): Promise<number> {
    const destination = options.to === 'pni' ? peer.pni : peer.aci
    const timestampMs = this.nextTimestamp()
    const outgoing = { ...options, peer, destination, text: bytesOf(text), timestampMs }
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#send(outgoing)
        return timestampMs
      } catch (error) {
        const mismatched = LS.LibSignalErrorBase.is(error, LS.ErrorCode.MismatchedDevices)
        if (attempt === MAX_TRIES || !mismatched) throw error
        await this.#adapt(peer, destination, error.entries, options)
      }
    }
  }

  /** To the account's other devices. */
  async sendSync(text: string): Promise<number> {
    const timestamp = this.nextTimestamp()
    const contents = await this.encrypt(this.#account, this.#account.aci, bytesOf(text), {})
    await this.#link().auth.sendSyncMessage({ timestamp, contents, urgent: true })
    return timestamp
  }

  /** One ciphertext for each device, opening sessions where there are none. */
  async encrypt(
    peer: Peer,
    destination: LS.ServiceId,
    text: Bytes,
    options: SendOptions,
  ): Promise<Copy<LS.CiphertextMessage>[]> {
    const devices = await this.#devicesOf(peer, destination, options)
    return each(devices, (id) => this.#conversation.encrypt(destination, id, text))
  }

  async #send(outgoing: Outgoing): Promise<void> {
    const { peer, destination, text } = outgoing
    if (outgoing.sealed) return this.#sendSealed(outgoing)
    const contents = await this.encrypt(peer, destination, text, outgoing)
    if (outgoing.via === 'rest') await this.#put(contents, outgoing)
    else await this.#link().auth.sendMessage({ destination, contents, ...typedOptions(outgoing) })
  }

  async #sendSealed(outgoing: Outgoing): Promise<void> {
    const { peer, destination, text } = outgoing
    const certificate = await this.#certificate.get(this.#link().auth)
    const devices = await this.#devicesOf(peer, destination, outgoing)
    const contents = await each(devices, (id) => this.#conversation.seal(destination, id, text, certificate))
    const auth = { accessKey: peer.accessKey }
    await this.#link().unauth.sendMessage({ destination, contents, auth, ...typedOptions(outgoing) })
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
    const body = { messages, online, urgent, timestamp }
    expectStatus(200, await fetchJson(this.#link().auth, 'PUT', path, body))
  }

  async #devicesOf(peer: Peer, destination: LS.ServiceId, options: SendOptions): Promise<DeviceRef[]> {
    const known = await this.#conversation.devicesOf(destination)
    if (known.length > 0) return known
    await this.#open(peer, destination, '*', options)
    return this.#conversation.devicesOf(destination)
  }

  async #open(
    peer: Peer,
    destination: LS.ServiceId,
    device: number | '*',
    { sealed }: SendOptions,
  ): Promise<void> {
    const { auth, unauth } = this.#link()
    const bundles = sealed
      ? await fetchUnidentified(unauth, destination, device, peer.accessKey)
      : await fetchIdentified(auth, destination, device)
    for (const bundle of bundles)
      if (!this.#isSelf(destination, bundle.deviceId())) await this.#conversation.open(destination, bundle)
  }

  #isSelf(destination: LS.ServiceId, deviceId: number): boolean {
    return destination.isEqual(this.#account.aci) && deviceId === this.#account.deviceId
  }

  /** Makes the sessions what the server says the recipient's devices are. */
  async #adapt(
    peer: Peer,
    destination: LS.ServiceId,
    entries: readonly LS.MismatchedDevicesEntry[],
    options: SendOptions,
  ): Promise<void> {
    for (const { missingDevices, extraDevices, staleDevices } of entries) {
      for (const id of [...extraDevices, ...staleDevices]) this.#conversation.forget(destination, id)
      for (const id of [...missingDevices, ...staleDevices]) await this.#open(peer, destination, id, options)
    }
  }
}

const each = <T>(devices: readonly DeviceRef[], make: (deviceId: number) => Promise<T>): Promise<Copy<T>[]> =>
  Promise.all(devices.map(async (device) => ({ ...device, contents: await make(device.deviceId) })))
