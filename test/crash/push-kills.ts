// Phones that are away get messages while the chat server, or the push process beside it, is killed again and again:
// every one of them is woken.
//   PUSH_KILLS=20 node --test test/crash/push-kills.test.ts
import { registerAccounts } from '../../bench/accounts.ts'
import type { Account } from '../../bench/job.ts'
import { basic, Https } from '../client/https.ts'
import { ServerProcess } from '../server-process.ts'
import { until } from '../until.ts'
import { Dice } from './dice.ts'

export type PushService = {
  readonly origin: string
  readonly received: readonly { readonly path: string }[]
  readonly faults: readonly string[]
  restrictTo(key: string): void
  subscribe(): {
    readonly endpoint: string
    readonly keys?: { p256dh: Uint8Array; auth: Uint8Array } | undefined
  }
}

export type PushKillsOptions = {
  /** Kills of each process. */
  readonly rounds: number
  readonly seed: number
  readonly service: PushService
  /** A file of the authority that the push service is known by. */
  readonly caFile: string
}

export type PushKills = {
  readonly kills: number
  /** Phones to which a message was answered with 200. */
  readonly due: number
  /** Those of them that no push reached before the last start, and never. */
  readonly late: number
  readonly lost: number
  /** Pushes beyond the first, before any second push was due. */
  readonly doubled: number
}

const PHONES_A_ROUND = 10
const MESSAGES_EACH = 3
/** As many as may be on their way to one push service (push/web). */
export const UNDER_WAY = 8
const SETTLE_MS = 4_000
/** Whatever is put off, is due by then. */
const AHEAD_MS = 15 * 60_000
const FREE = { bucket: 1e9, refill: 0.000_001 }
const LIMITS = { messages: FREE, registration: FREE, verificationSession: FREE }

type Phone = { readonly account: Account; readonly path: string; isDue: boolean }

const headersOf = ({ aci, password }: Account) => ({ authorization: basic(`${aci}.1`, password) })
const base64url = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url')
const waiting = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

async function subscribed(https: Https, account: Account, service: PushService): Promise<Phone> {
  const { endpoint, keys } = service.subscribe()
  const texts = { p256dh: base64url(keys!.p256dh), auth: base64url(keys!.auth) }
  const json = { endpoint, keys: texts }
  const { status } = await https.call('PUT', '/v1/heliograph/push/web', { headers: headersOf(account), json })
  if (status !== 204) throw new Error(`expected 204, got ${status}`)
  return { account, path: new URL(endpoint).pathname, isDue: false }
}

/** What is answered with 200 is due; a server that dies answers nothing. */
async function write(https: Https, from: Account, to: Phone): Promise<void> {
  const { aci, registrationId } = to.account
  const content = Buffer.alloc(8, 7).toString('base64')
  const copy = { type: 1, destinationDeviceId: 1, destinationRegistrationId: registrationId, content }
  const json = { messages: [copy], timestamp: Date.now(), urgent: true }
  const sent = https.call('PUT', `/v1/messages/${aci}`, { headers: headersOf(from), json })
  const answer = await sent.catch(() => undefined)
  if (answer?.status === 200) to.isDue = true
}

export async function pushKills(options: PushKillsOptions): Promise<PushKills> {
  const { rounds, seed, service, caFile } = options
  const dice = new Dice(seed)
  const web = { allowed: ['localhost'], caFile }
  await using gateway = await ServerProcess.start({
    yaml: JSON.stringify({ roles: ['push'], push: { web } }),
  })
  const secrets = gateway.secrets
  const push = { url: `https://localhost:${gateway.port}`, web }
  const yaml = JSON.stringify({ roles: ['chat', 'storage'], secrets, push, limits: LIMITS })
  await using chat = await ServerProcess.start({ yaml })
  const [sender, ...owners] = await registerAccounts(chat.ready, 0, 1 + 2 * rounds * PHONES_A_ROUND)
  let https = Https.open(chat.ready, 2)
  const key = await https.call('GET', '/v1/heliograph/push/web', { headers: headersOf(sender!) })
  service.restrictTo(JSON.parse(key.body.toString()).applicationServerKey)
  const phones: Phone[] = []
  for (const owner of owners) phones.push(await subscribed(https, owner, service))
  const pushesTo = ({ path }: Phone) => service.received.filter((received) => received.path === path).length

  for (let round = 0; round < 2 * rounds; round++) {
    const own = phones.slice(round * PHONES_A_ROUND, (round + 1) * PHONES_A_ROUND)
    const victim = round % 2 === 0 ? gateway : chat
    const begun = service.received.length
    const fatal = dice.below(PHONES_A_ROUND)
    const letters = Array.from({ length: MESSAGES_EACH }, () => own).flat()
    const sending = Promise.all(letters.map((phone) => write(https, sender!, phone)))
    // Some pushes have arrived, and others are on their way; or some messages are not even answered.
    if (dice.chance(0.7)) await until(() => service.received.length >= begun + fatal, 'pushes')
    else await waiting(dice.below(30))
    await victim.kill()
    await sending
    await victim.restart()
    if (victim !== chat) continue
    await https[Symbol.asyncDispose]()
    https = Https.open(chat.ready, 2)
  }
  const due = phones.filter(({ isDue }) => isDue)
  const isAwake = (phone: Phone) => pushesTo(phone) > 0
  await until(() => due.every(isAwake), 'the pushes', SETTLE_MS).catch(() => {})
  const late = due.filter((phone) => !isAwake(phone)).length
  const doubled = phones.reduce((sum, phone) => sum + Math.max(0, pushesTo(phone) - 1), 0)
  await https[Symbol.asyncDispose]()
  chat.clockAheadMs = AHEAD_MS
  await chat.restart()
  await until(() => due.every(isAwake), 'the last pushes').catch(() => {})
  const lost = due.filter((phone) => !isAwake(phone)).length
  return { kills: 2 * rounds, due: due.length, late, lost, doubled }
}
