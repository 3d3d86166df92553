// An account without a number, as libsignal registers it: an invite in the place of what Signal sells.
import { randomBytes } from 'node:crypto'
import * as LS from '@signalapp/libsignal-client'
import {
  ClientZkReceiptOperations,
  type ReceiptCredential,
  type ReceiptCredentialPresentation,
  type ReceiptCredentialRequestContext,
  ReceiptSerial,
} from '@signalapp/libsignal-client/dist/zkgroup/index.js'
import type { SignalServer } from '../constellation.ts'
import { makeIdentityKeys } from './identity-keys.ts'
import { openNet } from './net.ts'
import type { Registered } from './register.ts'
import { publicParamsOf } from './week.ts'

type UnauthChat = LS.Net.UnauthenticatedChatConnection & LS.Net.UnauthLoginPurchaseService

const operationsOf = ({ ready }: SignalServer) =>
  new ClientZkReceiptOperations(publicParamsOf(ready.keys).server)

/** What a client keeps until its credential came. */
export const receiptContext = (server: SignalServer): ReceiptCredentialRequestContext =>
  operationsOf(server).createReceiptCredentialRequestContext(
    new ReceiptSerial(new Uint8Array(randomBytes(16))),
  )

/** Pays with an invite's code; libsignal checks what it gets. */
export async function buyReceipt(
  server: SignalServer,
  code: string,
  context = receiptContext(server),
): Promise<ReceiptCredential> {
  const chat = (await openNet(server.ready, 2).connectUnauthenticatedChat({
    onConnectionInterrupted: () => {},
  })) as UnauthChat
  try {
    return await chat.createLoginReceiptCredential({
      paymentProcessor: 'googlePlayBilling',
      purchaseIdentifier: code,
      receiptCredentialRequestContext: context,
      serverParams: publicParamsOf(server.ready.keys).server,
      purchaseTime: Date.now(),
    })
  } finally {
    await chat.disconnect()
  }
}

export const showReceipt = (
  server: SignalServer,
  credential: ReceiptCredential,
): ReceiptCredentialPresentation => operationsOf(server).createReceiptCredentialPresentation(credential)

export type Unnumbered = Registered & {
  readonly recoveryPassword: Uint8Array<ArrayBuffer>
  readonly salt: Uint8Array<ArrayBuffer>
}

/** New keys, and what else an account brings. */
export function newcomer(recoveryPassword = new Uint8Array(randomBytes(32))) {
  // The number's identity is nobody's: what of our clients wants one is not asked for it.
  const keys = { aci: makeIdentityKeys(), pni: makeIdentityKeys() }
  const password = randomBytes(18).toString('base64')
  const accessKey = new Uint8Array(randomBytes(16))
  const request = {
    accountPassword: password,
    skipDeviceTransfer: true,
    accountAttributes: new LS.Net.AccountAttributes({
      recoveryPassword,
      aciRegistrationId: keys.aci.registrationId,
      pniRegistrationId: keys.pni.registrationId,
      registrationLock: null,
      unidentifiedAccessKey: accessKey,
      unrestrictedUnidentifiedAccess: false,
      capabilities: new Set(['spqr', 'optionalPhoneNumber']),
      discoverableByPhoneNumber: false,
    }),
    aciPublicKey: keys.aci.pair.publicKey,
    aciSignedPreKey: keys.aci.signedPreKey,
    aciPqLastResortPreKey: keys.aci.lastResortPreKey,
  }
  const registered = (response: LS.Net.RegisterAccountResponse): Unnumbered => ({
    ...{ number: '', pni: LS.Pni.fromUuid(crypto.randomUUID()), deviceId: 1 },
    ...{ aci: response.aci, password, accessKey, keys, recoveryPassword },
    reregistration: response.reregistration,
    salt: response.authCredentialSalt!,
  })
  return { request, registered }
}

export async function joinBy(
  server: SignalServer,
  receiptCredentialPresentation: ReceiptCredentialPresentation,
): Promise<{ account: Unnumbered; response: LS.Net.RegisterAccountResponse }> {
  const { request, registered } = newcomer()
  const net = openNet(server.ready, 2)
  const response = await net.registerAccountWithoutNumber({ ...request, receiptCredentialPresentation })
  return { account: registered(response), response }
}
