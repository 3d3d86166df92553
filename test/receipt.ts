// A receipt as a shop would give it, and as its buyer shows it.
import { randomBytes } from 'node:crypto'
import {
  ClientZkReceiptOperations,
  ReceiptSerial,
  type ServerSecretParams,
  ServerZkReceiptOperations,
} from '@signalapp/libsignal-client/dist/zkgroup/index.js'

/** `expiresAtSeconds` is the start of a day. */
export function receiptPresentation(
  params: ServerSecretParams,
  expiresAtSeconds: number,
  level = 201n,
): Uint8Array<ArrayBuffer> {
  const client = new ClientZkReceiptOperations(params.getPublicParams())
  const context = client.createReceiptCredentialRequestContext(
    new ReceiptSerial(new Uint8Array(randomBytes(16))),
  )
  const response = new ServerZkReceiptOperations(params).issueReceiptCredential(
    context.getRequest(),
    expiresAtSeconds,
    level,
  )
  const credential = client.receiveReceiptCredential(context, response)
  return client.createReceiptCredentialPresentation(credential).serialize()
}
