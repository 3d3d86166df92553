// Rules with a telephone: numbers are proven, people register, in as many steps as a test wants to see apart.
import type { TestContext } from 'node:test'
import type { Registered } from '../server/chat/registration/registration.ts'
import { Refusal } from '../server/kit/refusal.ts'
import type { Registration as RegistrationRequest } from '../wire/rest/registration.ts'
import { openRules, type RulesOptions } from './chat-rules.ts'
import { newKeys, PASSWORD, registerPerson, registrationOf, Telephone, verifiedSession } from './person.ts'

const GENEROUS = { registration: { bucket: 100 }, verificationSession: { bucket: 100 } }

export async function openRegistrar(t: TestContext, options: RulesOptions = {}) {
  const telephone = new Telephone()
  const rules = await openRules(t, { senders: [telephone], limits: GENEROUS, ...options })
  const verified = (number: string) => verifiedSession(rules, telephone, number)
  const register = (number: string, request: RegistrationRequest, password = PASSWORD) =>
    rules.registration.register({ username: number, password }, request, 'OWA')
  const person = (number: string, keys = newKeys()) => registerPerson(rules, telephone, number, keys)
  /** Registers by a new session, with some attributes of the account's own. */
  const registerWith = async (
    number: string,
    attributes: object,
    password = PASSWORD,
  ): Promise<Registered> => {
    const request = registrationOf(await verified(number))
    const accountAttributes = { ...request.accountAttributes, recoveryPassword: undefined, ...attributes }
    return register(number, { ...request, accountAttributes }, password)
  }
  /** Registers by the recovery password. */
  const recover = (
    number: string,
    recoveryPassword: Uint8Array,
    attributes: object = {},
  ): Promise<Registered> => {
    const { sessionId: _, ...request } = registrationOf('')
    const accountAttributes = { ...request.accountAttributes, recoveryPassword: undefined, ...attributes }
    return register(number, { ...request, accountAttributes, recoveryPassword })
  }
  return { rules, telephone, verified, register, person, registerWith, recover }
}

export const refusedAs = (kind: Refusal['kind'], field?: string) => (error: unknown) =>
  error instanceof Refusal && error.kind === kind && (field === undefined || error.detail.field === field)
