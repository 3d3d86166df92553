// Numbers are registered again and again while the server is killed: there is one account, and it is all of one piece.
import { randomBytes } from 'node:crypto'
import { basic } from '../client/https.ts'
import type { IdentityKeys } from '../client/identity-keys.ts'
import { makeIdentityKeys } from '../client/identity-keys.ts'
import { registrationBody } from '../client/registration-body.ts'
import type { Reply } from '../client/rest.ts'
import type { Dice } from './dice.ts'
import type { Complain, Desk, SideJob } from './side-job.ts'

const SESSIONS = '/v1/verification/session'

/** What a client that registered would have; whether the server took it, it may not know. */
export type Candidate = {
  readonly password: string
  readonly keys: { readonly aci: IdentityKeys; readonly pni: IdentityKeys }
  readonly body: ReturnType<typeof registrationBody>
}

type Numbered = {
  readonly number: string
  aci: string | undefined
  pni: string | undefined
  /** One of them is the account; the last one if its registration was answered. */
  candidates: Candidate[]
}

async function verifiedSession({ server, call }: Desk, number: string): Promise<string> {
  const { id } = ok(await call('POST', SESSIONS, { json: { number } }))
  ok(await call('POST', `${SESSIONS}/${id}/code`, { json: { transport: 'sms', client: 'ios' } }))
  const code = await server.codeFor(number)
  const { verified } = ok(await call('PUT', `${SESSIONS}/${id}/code`, { json: { code } }))
  if (!verified) throw new Error('the right code was refused')
  return id
}

function ok({ status, json, body }: Reply) {
  if (status !== 200) throw new Error(`expected 200, got ${status} ${body}`)
  return json
}

/** Registers a number; `before` hears of the attempt before the request leaves. */
export async function enrol(desk: Desk, number: string, before: (candidate: Candidate) => void = () => {}) {
  const keys = { aci: makeIdentityKeys(), pni: makeIdentityKeys() }
  const password = randomBytes(18).toString('base64')
  const body = registrationBody(await verifiedSession(desk, number), keys)
  const candidate = { password, keys, body }
  before(candidate)
  const headers = { authorization: basic(number, password) }
  const { uuid, pni } = ok(await desk.call('POST', '/v1/registration', { json: body, headers }))
  return { ...candidate, aci: uuid as string, pni: pni as string }
}

export class Enrolment implements SideJob {
  readonly #dice: Dice
  readonly #complain: Complain
  readonly #numbers: readonly Numbered[]
  /** Registrations that were answered, and lives in which the accounts were looked through. */
  registered = 0
  audits = 0

  constructor(dice: Dice, complain: Complain, numbers: readonly string[]) {
    this.#dice = dice
    this.#complain = complain
    this.#numbers = numbers.map((number) => ({ number, aci: undefined, pni: undefined, candidates: [] }))
  }

  async run(desk: Desk): Promise<void> {
    for (const one of this.#numbers) if (one.aci !== undefined) await this.#audit(desk, one, one.aci)
    while (!desk.isOver()) await this.#register(desk, this.#numbers[this.#dice.below(this.#numbers.length)]!)
  }

  async #register(desk: Desk, one: Numbered): Promise<void> {
    const done = await enrol(desk, one.number, (candidate) => {
      one.candidates.push(candidate)
      desk.ripe()
    })
    this.registered++
    if (done.aci !== (one.aci ?? done.aci)) this.#complain(`${one.number} changed its ACI`)
    if (done.pni !== (one.pni ?? done.pni)) this.#complain(`${one.number} changed its PNI`)
    Object.assign(one, { aci: done.aci, pni: done.pni, candidates: [done] })
  }

  /** Exactly one of those who tried is let in, and everything of the account is theirs. */
  async #audit(desk: Desk, one: Numbered, aci: string): Promise<void> {
    const tried = one.candidates.map(async (candidate) => {
      const headers = { authorization: basic(`${aci}.1`, candidate.password) }
      return { candidate, reply: await desk.call('GET', '/v1/accounts/whoami', { headers }) }
    })
    const replies = await Promise.all(tried)
    const admitted = replies.filter(({ reply }) => reply.status === 200)
    const [first] = admitted
    if (!first || admitted.length > 1) {
      this.#complain(`${one.number}: ${admitted.length} of ${replies.length} passwords are right`)
      return
    }
    const { uuid, pni, number } = first.reply.json
    if (uuid !== aci || pni !== one.pni || number !== one.number)
      this.#complain(`${one.number}: whoami tells of another account`)
    await this.#isWhole(desk, aci, first.candidate)
    one.candidates = [first.candidate]
    this.audits++
  }

  async #isWhole({ call }: Desk, aci: string, { body }: Candidate): Promise<void> {
    const accessKey = Buffer.from(body.accountAttributes.unidentifiedAccessKey).toString('base64')
    const headers = { 'unidentified-access-key': accessKey }
    const { status, json } = await call('GET', `/v2/keys/${aci}/1`, { headers })
    const [device] = json?.devices ?? []
    const parts = {
      'access key': status === 200,
      'identity key': json?.identityKey === body.aciIdentityKey,
      'signed pre-key': device?.signedPreKey?.publicKey === body.aciSignedPreKey.publicKey,
      'last-resort key': device?.pqPreKey?.publicKey === body.aciPqLastResortPreKey.publicKey,
      'registration id': device?.registrationId === body.accountAttributes.registrationId,
    }
    for (const [part, fits] of Object.entries(parts))
      if (!fits) this.#complain(`account ${aci}: the ${part} is not of the registration that counts`)
  }
}
