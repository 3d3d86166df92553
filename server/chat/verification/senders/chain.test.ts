import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CODE, codeRequest, NUMBER } from '../../../../test/code-request.ts'
import { ManualClock } from '../../../kit/clock.ts'
import { SENDER_DEADLINE_MS, SenderChain } from './chain.ts'
import { type CheckOutcome, type CodeSender, type SendOutcome, TRANSPORTS, type Transport } from './sender.ts'

const SENT: SendOutcome = { kind: 'sent' }
const unavailable: SendOutcome = { kind: 'refused', reason: 'providerUnavailable', permanentFailure: false }
const rejected: SendOutcome = { kind: 'refused', reason: 'providerRejected', permanentFailure: true }
const illegal: SendOutcome = { kind: 'refused', reason: 'illegalArgument', permanentFailure: true }
const busy: SendOutcome = { kind: 'rate-limited', retryAfterSeconds: 9 }
const notAllowed: SendOutcome = { kind: 'not-allowed' }
const never = () => new Promise<never>(() => {})

class Scripted implements CodeSender {
  readonly name: string
  readonly transports: readonly Transport[]
  readonly #say: () => Promise<SendOutcome>
  asked = 0
  check?: NonNullable<CodeSender['check']>

  constructor(name: string, outcome: SendOutcome | (() => Promise<SendOutcome>), transports = TRANSPORTS) {
    this.name = name
    this.transports = transports
    this.#say = typeof outcome === 'function' ? outcome : async () => outcome
  }

  send(): Promise<SendOutcome> {
    this.asked++
    return this.#say()
  }
}

function openChain(...senders: CodeSender[]) {
  const clock = new ManualClock()
  const said: string[] = []
  const note =
    (name: string) =>
    (...details: unknown[]) =>
      void said.push([name, ...details].join(' '))
  const events = {
    senderSent: note('sent'),
    senderFailed: note('failed'),
    delivered: note('delivered'),
    undelivered: note('undelivered'),
    reportForged: note('forged'),
  }
  const chain = new SenderChain({ senders, clock, events })
  const send = async (transport: Transport = 'sms', failed = '') => {
    const { kind, sender, ...rest } = await chain.send(codeRequest({ transport }), failed)
    return `${kind} by ${sender}${'reason' in rest ? `: ${rest.reason}` : ''}`
  }
  return { chain, clock, said, send }
}

test('the first sender that can, does; those after it are left alone', async () => {
  const [first, second, third] = [
    new Scripted('a', unavailable),
    new Scripted('b', SENT),
    new Scripted('c', SENT),
  ]
  const { send, said } = openChain(first, second, third)
  assert.equal(await send(), 'sent by b')
  assert.deepEqual([first.asked, second.asked, third.asked], [1, 1, 0])
  assert.deepEqual(said, ['failed a sms providerUnavailable OTHER', 'sent b sms'])
})

test('after a failure that became known later the others come first, and the one that failed last', async () => {
  const [first, second, third] = [new Scripted('a', SENT), new Scripted('b', SENT), new Scripted('c', SENT)]
  assert.equal(await openChain(first, second, third).send('sms', 'a'), 'sent by b')
  assert.equal(await openChain(first, second, third).send('sms', 'c'), 'sent by a')
  assert.equal(await openChain(first, second, third).send('sms', 'nobody'), 'sent by a')
  assert.equal(await openChain(first).send('sms', 'a'), 'sent by a')
  const broken = [new Scripted('b', rejected), new Scripted('c', unavailable)]
  assert.equal(await openChain(first, ...broken).send('sms', 'a'), 'sent by a')
})

test('what may have been sent is not sent by another', async () => {
  const second = new Scripted('b', SENT)
  const { send } = openChain(new Scripted('a', { kind: 'unknown' }), second)
  assert.equal(await send(), 'unknown by a')
  assert.equal(second.asked, 0)
})

test('a sender that says nothing is given up after a while, and its code may be on its way', async () => {
  const second = new Scripted('b', SENT)
  const { send, clock, said } = openChain(new Scripted('a', never), second)
  const sending = send()
  clock.advance(SENDER_DEADLINE_MS - 1)
  assert.deepEqual(said, [])
  clock.advance(1)
  assert.equal(await sending, 'unknown by a')
  assert.deepEqual([second.asked, said], [0, ['failed a sms unknown TIMEOUT']])
})

test('a sender that throws has failed, at once or later', async () => {
  const at = () => {
    throw new Error(`${NUMBER} ${CODE}`)
  }
  const later = async () => at()
  const { send, said } = openChain(new Scripted('a', at), new Scripted('b', later), new Scripted('c', SENT))
  assert.equal(await send(), 'sent by c')
  assert.deepEqual(said.slice(0, 2), [
    'failed a sms providerUnavailable ERROR',
    'failed b sms providerUnavailable ERROR',
  ])
})

test('of several failures the client is told the one that promises most', async () => {
  const told = (...outcomes: SendOutcome[]) =>
    openChain(...outcomes.map((outcome, index) => new Scripted(String(index), outcome))).send()
  assert.equal(await told(unavailable, busy, rejected), 'rate-limited by 1')
  assert.equal(await told(rejected, unavailable, notAllowed), 'refused by 1: providerUnavailable')
  assert.equal(await told(notAllowed, rejected), 'refused by 1: providerRejected')
  assert.equal(await told(illegal, rejected), 'refused by 0: illegalArgument')
  assert.equal(await told(notAllowed, notAllowed), 'not-allowed by 0')
  assert.equal(await told(), 'not-allowed by ')
})

test('who can’t call is not asked to', async () => {
  const writer = new Scripted('writer', SENT, ['sms'] as never)
  const { chain, send } = openChain(writer)
  assert.deepEqual([chain.knows('sms'), chain.knows('voice')], [true, false])
  assert.equal(await send('voice'), 'not-allowed by ')
  assert.equal(writer.asked, 0)
  assert.equal(await openChain(writer, new Scripted('caller', SENT)).send('voice'), 'sent by caller')
})

test('what providers say of a failure is counted by a number or a name, and nothing else gets through', async () => {
  const details = [
    21_614,
    '550',
    'ECONNREFUSED',
    'UND_ERR_SOCKET',
    CODE,
    NUMBER,
    Number(`1${CODE.slice(1)}`),
    'no +1202',
    'econn',
    '',
    'A'.repeat(99),
  ]
  const outcome = (detail: string | number): SendOutcome => ({ ...unavailable, detail }) as SendOutcome
  const { said, send } = openChain(
    ...details.map((detail, index) => new Scripted(`s${index}`, outcome(detail))),
  )
  await send()
  const counted = said.map((line) => line.split(' ').at(-1))
  assert.deepEqual(counted, ['21614', '550', 'ECONNREFUSED', 'UND_ERR_SOCKET', ...Array(7).fill('OTHER')])
})

test('a sender that makes codes is asked about them; one that is gone, or does not, knows none', async () => {
  const verifier = new Scripted('v', SENT)
  const answers: (CheckOutcome | Error | 'never')[] = ['right', 'wrong', 'over', new Error(CODE), 'never']
  const asked: unknown[] = []
  verifier.check = async (...given) => {
    asked.push(given)
    const answer = answers.shift()!
    if (answer === 'never') return never()
    if (answer instanceof Error) throw answer
    return answer
  }
  const { chain, clock } = openChain(verifier, new Scripted('plain', SENT))
  const check = (name: string) => chain.check(name, 'VE1', CODE)
  assert.deepEqual(
    [await check('v'), await check('v'), await check('v'), await check('v')],
    ['right', 'wrong', 'over', 'unavailable'],
  )
  const waiting = check('v')
  clock.advance(SENDER_DEADLINE_MS)
  assert.equal(await waiting, 'unavailable')
  assert.deepEqual(asked, Array(5).fill(['VE1', CODE]))
  assert.deepEqual([await check('plain'), await check('nobody')], ['over', 'over'])
})

test('when the server stops, nobody waits for a provider any longer', async () => {
  const slow = new Scripted('slow', never)
  slow.check = never
  const next = new Scripted('next', SENT)
  const { chain, send } = openChain(slow, next)
  const [sending, checking] = [send(), chain.check('slow', 'VE1', CODE)]
  chain.close()
  assert.deepEqual([await sending, await checking, next.asked], ['closed by slow', 'unavailable', 0])
})

test('news are counted by sender; those of a sender that sends none are nobody’s', async () => {
  const reporter = new Scripted('r', SENT)
  const news = ['pending', 'delivered', 'failed', undefined] as const
  const script = [...news]
  Object.assign(reporter, {
    read: () => {
      const state = script.shift()
      return state && { transport: 'sms', state, detail: 30005 }
    },
  })
  const { chain, said } = openChain(reporter, new Scripted('plain', SENT))
  const posted = { delivery: 'd', signature: 's', fields: {} }
  assert.deepEqual(
    news.map(() => chain.read('r', posted)?.state),
    [...news],
  )
  assert.deepEqual(said, ['delivered r sms', 'undelivered r sms 30005', 'forged r'])
  assert.deepEqual([chain.read('plain', posted), chain.read('nobody', posted)], [undefined, undefined])
})
