// A code to be sent, for tests of senders.
import type { CodeRequest } from '../server/chat/verification/senders/sender.ts'
import type { E164 } from '../wire/types.ts'

export const CODE = '042917'
export const NUMBER = '+12025550123' as E164

export const codeRequest = (fields: Partial<CodeRequest> = {}): CodeRequest => ({
  to: NUMBER,
  transport: 'sms',
  code: CODE,
  languages: ['en'],
  client: 'ios',
  delivery: 'a-delivery_1',
  ...fields,
})
