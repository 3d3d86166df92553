// Somebody who registers with the rules themselves: real keys, a real session, no door.
import assert from 'node:assert/strict'
import { hasNumber, type NumberedAccount } from '../server/chat/accounts/account.ts'
import {
  type CodeRequest,
  type CodeSender,
  type SendOutcome,
  TRANSPORTS,
} from '../server/chat/verification/senders/sender.ts'
import { Registration as RegistrationBody } from '../wire/rest/registration.ts'
import { decodeWith } from '../wire/route.ts'
import type { Rules } from './chat-rules.ts'
import { type IdentityKeys, makeIdentityKeys } from './client/identity-keys.ts'
import { registrationBody } from './client/registration-body.ts'

/** Keeps the codes that it is given, as a telephone would. */
export class Telephone implements CodeSender {
  readonly name: string
  readonly transports = TRANSPORTS
  readonly requests: CodeRequest[] = []

  constructor(name = 'telephone') {
    this.name = name
  }

  async send(request: CodeRequest): Promise<SendOutcome> {
    this.requests.push(request)
    return { kind: 'sent' }
  }

  get codes(): string[] {
    return this.requests.map(({ code }) => code)
  }

  get lastCode(): string {
    return this.codes.at(-1) ?? assert.fail('no code came')
  }
}

export type Keys = { readonly aci: IdentityKeys; readonly pni: IdentityKeys }
export const newKeys = (): Keys => ({ aci: makeIdentityKeys(), pni: makeIdentityKeys() })

export const PASSWORD = 'a password'

/** A session that has proven the number. */
export async function verifiedSession({ verification }: Rules, telephone: Telephone, number: string) {
  const opened = await verification.open(number)
  assert.ok(opened.kind === 'opened')
  const { id } = opened.session
  assert.equal((await verification.requestCode(id, 'sms')).kind, 'ok')
  const answered = await verification.submitCode(id, telephone.lastCode)
  assert.ok(answered.kind === 'ok' && answered.session.verified)
  return id
}

/** A registration as the door hands it to the rules; `spoil` changes its JSON before. */
export function registrationOf(
  sessionId: string,
  keys: Keys = newKeys(),
  spoil: Readonly<Record<string, unknown>> = {},
): RegistrationBody {
  return decodeWith(RegistrationBody, { ...registrationBody(sessionId, keys), ...spoil })
}

export async function registerPerson(
  rules: Rules,
  telephone: Telephone,
  number: string,
  keys: Keys = newKeys(),
): Promise<NumberedAccount> {
  const session = await verifiedSession(rules, telephone, number)
  const credentials = { username: number, password: PASSWORD }
  const registered = await rules.registration.register(credentials, registrationOf(session, keys), 'OWA')
  assert.ok(registered.kind === 'registered' && hasNumber(registered.account))
  return registered.account
}
