// A new device joins an account as real ones do: a socket with an address, a message from the primary, a link.
import { createCipheriv, createDecipheriv, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import * as LS from '@signalapp/libsignal-client'
import { ProvisionEnvelope, ProvisionMessage } from '../../wire/gen/provisioning.js'
import type { SignalServer } from '../constellation.ts'
import { within } from '../within.ts'
import { authorizationOf, basic, Https } from './https.ts'
import { base64, type IdentityKeys, makeIdentityKeys, signedJson } from './identity-keys.ts'
import { type HttpVersion, openNet } from './net.ts'
import type { Registered } from './register.ts'
import { expectStatus } from './rest.ts'

export type LinkingOptions = {
  readonly httpVersion?: HttpVersion
  readonly capabilities?: readonly string[]
  /** Encrypted, as far as the server knows. */
  readonly name?: string
}

/** The whole way from an empty device to a linked one. */
export async function linkDevice(
  server: SignalServer,
  primary: Registered,
  options: LinkingOptions = {},
): Promise<Registered> {
  const { httpVersion = 2 } = options
  await using https = Https.open(server.ready, httpVersion)
  const newcomer = await Newcomer.open(server, httpVersion)
  const { json } = await https.call('GET', '/v1/devices/provisioning/code', {
    headers: authorizationOf(primary),
  })
  const body = provisioningEnvelope(newcomer.publicKey, primary, json.verificationCode)
  const sent = await https.call('PUT', `/v1/provisioning/${await newcomer.address()}`, {
    headers: authorizationOf(primary),
    json: { body: base64(body) },
  })
  expectStatus(204, sent)
  const { provisioningCode } = await newcomer.message()
  await newcomer.closed()
  return await linkWith(https, primary, provisioningCode, options)
}

/** The last step alone: the token is there, however it came. */
export async function linkWith(
  https: Https,
  primary: Registered,
  token: string,
  options: LinkingOptions = {},
): Promise<Registered> {
  const keys = newKeysOf(primary)
  const password = randomBytes(18).toString('base64')
  const headers = { authorization: basic(primary.number, password) }
  const reply = await https.call('PUT', '/v1/devices/link', { headers, json: linkBody(token, keys, options) })
  expectStatus(200, reply)
  return { ...primary, deviceId: reply.json.deviceId, password, keys }
}

export const newKeysOf = ({ keys }: Pick<Registered, 'keys'>) => ({
  aci: makeIdentityKeys(keys.aci.pair),
  pni: makeIdentityKeys(keys.pni.pair),
})

/** The body of `PUT /v1/devices/link` in JSON, to be spoilt field by field. */
export const linkBody = (
  token: string,
  keys: { readonly aci: IdentityKeys; readonly pni: IdentityKeys },
  { capabilities = ['spqr', 'attachmentBackfill'], name }: LinkingOptions = {},
) => ({
  verificationCode: token,
  accountAttributes: {
    fetchesMessages: true,
    registrationId: keys.aci.registrationId,
    pniRegistrationId: keys.pni.registrationId,
    capabilities: Object.fromEntries(capabilities.map((capability) => [capability, true])),
    ...(name !== undefined && { name: base64(Buffer.from(name)) }),
  },
  aciSignedPreKey: signedJson(keys.aci.signedPreKey),
  pniSignedPreKey: signedJson(keys.pni.signedPreKey),
  aciPqLastResortPreKey: signedJson(keys.aci.lastResortPreKey),
  pniPqLastResortPreKey: signedJson(keys.pni.lastResortPreKey),
})

/** A device that is nobody's yet, on libsignal's own provisioning connection. */
export class Newcomer {
  readonly #key = LS.PrivateKey.generate()
  readonly #address = Promise.withResolvers<string>()
  readonly #envelope = Promise.withResolvers<Uint8Array>()
  readonly #closed = Promise.withResolvers<LS.LibSignalError | null>()
  #connection: LS.Net.ProvisioningConnection | undefined

  static async open(server: SignalServer, httpVersion: HttpVersion): Promise<Newcomer> {
    const newcomer = new Newcomer()
    newcomer.#connection = await openNet(server.ready, httpVersion).connectProvisioning({
      onReceivedAddress: (address, ack) => {
        ack.send(200)
        newcomer.#address.resolve(address)
      },
      onReceivedEnvelope: (envelope, ack) => {
        ack.send(200)
        newcomer.#envelope.resolve(envelope)
      },
      onConnectionInterrupted: (cause) => newcomer.#closed.resolve(cause),
    })
    return newcomer
  }

  /** What its QR code would show, beside the address. */
  get publicKey(): LS.PublicKey {
    return this.#key.getPublicKey()
  }

  address(): Promise<string> {
    return within(this.#address.promise, 'the address')
  }

  /** What the primary device wrote. */
  async message(): Promise<ProvisionMessage> {
    const envelope = ProvisionEnvelope.decode(await within(this.#envelope.promise, 'the envelope'))
    const theirs = LS.PublicKey.deserialize(new Uint8Array(envelope.publicKey))
    return ProvisionMessage.decode(decrypt(keysFrom(this.#key.agree(theirs)), envelope.body))
  }

  closed(): Promise<LS.LibSignalError | null> {
    return within(this.#closed.promise, 'the provisioning connection to end')
  }

  async close(): Promise<void> {
    await this.#connection?.disconnect()
    await this.closed()
  }
}

/** What the primary device sends to the key that it scanned (signal-api §3.3). */
export function provisioningEnvelope(to: LS.PublicKey, primary: Registered, token: string): Uint8Array {
  const { aci, pni, keys, number } = primary
  const message = ProvisionMessage.encode({
    aciIdentityKeyPublic: keys.aci.pair.publicKey.serialize(),
    aciIdentityKeyPrivate: keys.aci.pair.privateKey.serialize(),
    pniIdentityKeyPublic: keys.pni.pair.publicKey.serialize(),
    pniIdentityKeyPrivate: keys.pni.pair.privateKey.serialize(),
    aci: aci.getServiceIdString(),
    pni: pni.getRawUuid(),
    number,
    provisioningCode: token,
    provisioningVersion: 1,
  }).finish()
  const ephemeral = LS.PrivateKey.generate()
  return ProvisionEnvelope.encode({
    publicKey: ephemeral.getPublicKey().serialize(),
    body: encrypt(keysFrom(ephemeral.agree(to)), message),
  }).finish()
}

type MessageKeys = { readonly cipher: Uint8Array; readonly mac: Uint8Array }
const VERSION = 1
const IV_BYTES = 16
const MAC_BYTES = 32

function keysFrom(secret: Uint8Array<ArrayBuffer>): MessageKeys {
  const info = new Uint8Array(Buffer.from('TextSecure Provisioning Message'))
  const bytes = LS.hkdf(64, secret, info, null)
  return { cipher: bytes.subarray(0, 32), mac: bytes.subarray(32) }
}

const macOf = ({ mac }: MessageKeys, bytes: Uint8Array) => createHmac('sha256', mac).update(bytes).digest()

function encrypt(keys: MessageKeys, message: Uint8Array): Uint8Array {
  const iv = randomBytes(IV_BYTES)
  const cipher = createCipheriv('aes-256-cbc', keys.cipher, iv)
  const sealed = Buffer.concat([Buffer.of(VERSION), iv, cipher.update(message), cipher.final()])
  return Buffer.concat([sealed, macOf(keys, sealed)])
}

function decrypt(keys: MessageKeys, body: Uint8Array): Uint8Array {
  const sealed = body.subarray(0, -MAC_BYTES)
  if (!timingSafeEqual(macOf(keys, sealed), body.subarray(-MAC_BYTES)))
    throw new Error('the envelope is damaged')
  const decipher = createDecipheriv('aes-256-cbc', keys.cipher, sealed.subarray(1, 1 + IV_BYTES))
  return Buffer.concat([decipher.update(sealed.subarray(1 + IV_BYTES)), decipher.final()])
}
