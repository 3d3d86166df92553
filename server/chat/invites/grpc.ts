import { LoginPurchase } from '../../../wire/gen/login_purchase.js'
import { type GrpcMethod, implementService } from '../../kit/grpc-service.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { LoginReceipts } from './login-receipts.ts'

const REPLIES = {
  'no-invite': { paymentNotFound: {} },
  'used-up': { receiptAlreadyIssued: {} },
} as const

/** An invite's code is the identifier of the purchase, whoever is said to have been paid. */
export const loginPurchaseGrpc = (receipts: LoginReceipts): GrpcMethod[] =>
  implementService(LoginPurchase, {
    async createLoginReceiptCredential({ purchaseIdentifier, receiptCredentialRequest }, { remoteAddress }) {
      const code = filled(purchaseIdentifier)
      const issued = await receipts.issue(code, receiptCredentialRequest, remoteAddress)
      if (issued.kind !== 'issued') return REPLIES[issued.kind]
      return { result: { receiptCredentialResponse: issued.credential } }
    },
  })

function filled(text: string): string {
  if (text !== '') return text
  throw new Refusal('invalid', { field: 'purchase_identifier', message: 'must not be empty' })
}
