// Sessions of one identity with the devices of others: bundles in, ciphertexts out, and back.
import * as LS from '@signalapp/libsignal-client'
import type { Envelope } from '../../wire/gen/envelope.js'
import type { Stores } from './stores.ts'

export const ENVELOPE_TYPE = { message: 1, preKeyMessage: 3, receipt: 5, sealed: 6 } as const

type Bytes = Uint8Array<ArrayBuffer>
export type DeviceRef = { readonly deviceId: number; readonly registrationId: number }
type Self = { readonly deviceId: number; readonly number: string }
export type Plaintext = { readonly bytes: Bytes; readonly from: string; readonly deviceId: number }

export class Conversation {
  readonly #local: LS.ProtocolAddress
  readonly #number: string
  readonly #trustRoot: LS.PublicKey
  readonly #stores: Stores
  readonly #devices = new Map<string, Set<number>>()

  /** `trustRoot`: whose word for a sealed message's sender is believed. */
  constructor(self: LS.ServiceId, { deviceId, number }: Self, stores: Stores, trustRoot: LS.PublicKey) {
    this.#local = LS.ProtocolAddress.new(self, deviceId)
    this.#number = number
    this.#trustRoot = trustRoot
    this.#stores = stores
  }

  /** The devices of somebody with whom there are sessions. */
  async devicesOf(peer: LS.ServiceId): Promise<DeviceRef[]> {
    const ids = [...(this.#devices.get(peer.getServiceIdString()) ?? [])]
    return Promise.all(
      ids.map(async (deviceId) => {
        const record = await this.#stores.sessions.getSession(LS.ProtocolAddress.new(peer, deviceId))
        return { deviceId, registrationId: record!.remoteRegistrationId() }
      }),
    )
  }

  async open(peer: LS.ServiceId, bundle: LS.PreKeyBundle): Promise<void> {
    const { sessions, identities } = this.#stores
    const address = LS.ProtocolAddress.new(peer, bundle.deviceId())
    await LS.processPreKeyBundle(bundle, address, this.#local, sessions, identities)
    this.#know(peer.getServiceIdString(), bundle.deviceId())
  }

  forget(peer: LS.ServiceId, deviceId: number): void {
    this.#devices.get(peer.getServiceIdString())?.delete(deviceId)
    this.#stores.sessions.forget(LS.ProtocolAddress.new(peer, deviceId))
  }

  encrypt(peer: LS.ServiceId, deviceId: number, text: Bytes): Promise<LS.CiphertextMessage> {
    const { sessions, identities } = this.#stores
    return LS.signalEncrypt(text, LS.ProtocolAddress.new(peer, deviceId), this.#local, sessions, identities)
  }

  seal(peer: LS.ServiceId, deviceId: number, text: Bytes, certificate: LS.SenderCertificate): Promise<Bytes> {
    const { sessions, identities } = this.#stores
    const address = LS.ProtocolAddress.new(peer, deviceId)
    return LS.sealedSenderEncryptMessage(text, address, certificate, sessions, identities)
  }

  async decrypt(envelope: Envelope): Promise<Plaintext> {
    const content = new Uint8Array(envelope.content)
    if (envelope.type === ENVELOPE_TYPE.sealed) return this.#unseal(content, envelope.serverTimestamp)
    const source = LS.ServiceId.parseFromServiceIdBinary(new Uint8Array(envelope.sourceServiceId))
    const from = source.getServiceIdString()
    const address = LS.ProtocolAddress.new(source, envelope.sourceDevice)
    const bytes = await this.#open(envelope.type, content, address)
    this.#know(from, envelope.sourceDevice)
    return { bytes, from, deviceId: envelope.sourceDevice }
  }

  #know(peer: string, deviceId: number): void {
    const known = this.#devices.get(peer) ?? new Set()
    this.#devices.set(peer, known.add(deviceId))
  }

  #open(type: number, content: Bytes, from: LS.ProtocolAddress): Promise<Bytes> {
    const { sessions, identities, preKeys, signedPreKeys, kyberPreKeys } = this.#stores
    if (type === ENVELOPE_TYPE.message)
      return LS.signalDecrypt(LS.SignalMessage.deserialize(content), from, this.#local, sessions, identities)
    if (type !== ENVELOPE_TYPE.preKeyMessage) throw new Error(`an envelope of type ${type} has no text`)
    return LS.signalDecryptPreKey(
      LS.PreKeySignalMessage.deserialize(content),
      from,
      this.#local,
      sessions,
      identities,
      preKeys,
      signedPreKeys,
      kyberPreKeys,
    )
  }

  async #unseal(content: Bytes, timestampMs: number): Promise<Plaintext> {
    const { sessions, identities, preKeys, signedPreKeys, kyberPreKeys } = this.#stores
    const opened = await LS.sealedSenderDecryptMessage(
      content,
      this.#trustRoot,
      timestampMs,
      this.#number,
      this.#local.name(),
      this.#local.deviceId(),
      sessions,
      identities,
      preKeys,
      signedPreKeys,
      kyberPreKeys,
    )
    this.#know(opened.senderUuid(), opened.deviceId())
    return { bytes: opened.message(), from: opened.senderUuid(), deviceId: opened.deviceId() }
  }
}
