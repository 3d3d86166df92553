// Writing to many at once as clients do: one ciphertext by sender key, sealed for every device (libsignal's sealed sender v2).
import { randomUUID } from 'node:crypto'
import * as LS from '@signalapp/libsignal-client'
import { fetchUnidentified } from './bundles.ts'
import type { UnauthChat } from './net.ts'
import type { Registered } from './register.ts'
import type { Peer } from './sender.ts'
import { Stores } from './stores.ts'

type Bytes = Uint8Array<ArrayBuffer>

class SenderKeys extends LS.SenderKeyStore {
  readonly #records = new Map<string, LS.SenderKeyRecord>()

  override async saveSenderKey(
    sender: LS.ProtocolAddress,
    distributionId: LS.Uuid,
    record: LS.SenderKeyRecord,
  ): Promise<void> {
    this.#records.set(`${sender.name()}.${sender.deviceId()}.${distributionId}`, record)
  }

  override async getSenderKey(
    sender: LS.ProtocolAddress,
    distributionId: LS.Uuid,
  ): Promise<LS.SenderKeyRecord | null> {
    return this.#records.get(`${sender.name()}.${sender.deviceId()}.${distributionId}`) ?? null
  }
}

export class GroupSender {
  readonly #account: Registered
  readonly #stores: Stores
  readonly #keys = new SenderKeys()
  readonly #distributionId = randomUUID()
  readonly #devices: LS.ProtocolAddress[] = []

  constructor(account: Registered) {
    this.#account = account
    this.#stores = new Stores(account.keys.aci)
  }

  get #address(): LS.ProtocolAddress {
    return LS.ProtocolAddress.new(this.#account.aci, this.#account.deviceId)
  }

  /** Opens sessions with all devices of somebody. */
  async add(unauth: UnauthChat, peer: Peer): Promise<void> {
    const { sessions, identities } = this.#stores
    for (const bundle of await fetchUnidentified(unauth, peer.aci, '*', peer.accessKey)) {
      const address = LS.ProtocolAddress.new(peer.aci, bundle.deviceId())
      await LS.processPreKeyBundle(bundle, address, this.#address, sessions, identities)
      this.#devices.push(address)
    }
  }

  /** What members need before they can read. */
  async distribution(): Promise<Bytes> {
    const message = await LS.SenderKeyDistributionMessage.create(
      this.#address,
      this.#distributionId,
      this.#keys,
    )
    return message.serialize()
  }

  /** Everything for everybody, in one. */
  async seal(text: string, certificate: LS.SenderCertificate): Promise<Bytes> {
    const plain = new Uint8Array(Buffer.from(text))
    const message = await LS.groupEncrypt(this.#address, this.#distributionId, this.#keys, plain)
    const content = LS.UnidentifiedSenderMessageContent.new(
      message,
      certificate,
      LS.ContentHint.Default,
      null,
    )
    const { identities, sessions } = this.#stores
    return LS.sealedSenderMultiRecipientEncrypt(content, this.#devices, identities, sessions)
  }
}

/** What a member reads of a sealed envelope, and who wrote it. */
export async function readAsMember(
  member: Registered,
  distribution: Bytes,
  content: Uint8Array,
): Promise<{ readonly text: string; readonly from: string }> {
  const keys = new SenderKeys()
  const { identities } = new Stores(member.keys.aci)
  const opened = await LS.sealedSenderDecryptToUsmc(new Uint8Array(content), identities)
  const certificate = opened.senderCertificate()
  const sender = LS.ProtocolAddress.new(certificate.senderUuid(), certificate.senderDeviceId())
  const message = LS.SenderKeyDistributionMessage.deserialize(distribution)
  await LS.processSenderKeyDistributionMessage(sender, message, keys)
  const text = await LS.groupDecrypt(sender, keys, opened.contents())
  return { text: Buffer.from(text).toString('utf8'), from: certificate.senderUuid() }
}
