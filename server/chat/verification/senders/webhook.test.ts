// The sender `webhook`, against the receiver of its documentation, and against gateways that fail.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createPort } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { CODE, codeRequest, NUMBER } from '../../../../test/code-request.ts'
import { listenOnLoopback } from '../../../../test/loopback.ts'
import { within } from '../../../../test/within.ts'
import { ManualClock } from '../../../kit/clock.ts'
import { configSchema } from '../../../kit/config-schema.ts'
import { ask } from '../../../kit/outgoing.ts'
import { WebhookSender } from './webhook.ts'

const SECRET = 'sixteen or more letters'
const NOW_MS = 1_800_000_000_000

const open = (url: string, fields: object = {}, clock = new ManualClock(NOW_MS)) =>
  WebhookSender.open(
    { ...configSchema.parse({ webhook: { url, secret: SECRET, ...fields } }), secrets: '' },
    clock,
  )

type Got = { readonly headers: IncomingMessage['headers']; readonly body: string }

async function openGateway(t: TestContext, answer: (response: ServerResponse, got: Got) => void) {
  const got: Got[] = []
  const server = createServer(async (request, response) => {
    const one = { headers: request.headers, body: await text(request) }
    got.push(one)
    answer(response, one)
  })
  const { url, close } = await listenOnLoopback(server)
  t.after(close)
  return { url, got }
}

const answering =
  (status: number, headers: Record<string, string> = {}) =>
  (response: ServerResponse) =>
    response.writeHead(status, headers).end()

test('a code is posted once, signed over its time and its bytes', async (t) => {
  const { url, got } = await openGateway(t, answering(204))
  const sender = await open(url)
  assert.deepEqual(await sender.send(codeRequest({ languages: ['fr-CH'] })), { kind: 'sent' })
  const [{ headers, body }] = got as [Got]
  assert.equal(got.length, 1)
  assert.deepEqual(JSON.parse(body), {
    delivery: 'a-delivery_1',
    number: NUMBER,
    transport: 'sms',
    code: CODE,
    language: 'fr',
    text: `Code Heliograph : ${CODE}. Ne le partagez pas.`,
  })
  assert.equal(headers['content-type'], 'application/json')
  assert.equal(headers['heliograph-timestamp'], '1800000000')
  const mac = createHmac('sha256', SECRET).update(`1800000000.${body}`).digest('hex')
  assert.equal(headers['heliograph-signature'], `v1=${mac}`)
})

test('a gateway that can call is asked to, with what to say before the digits', async (t) => {
  const { url, got } = await openGateway(t, answering(200))
  assert.deepEqual((await open(url)).transports, ['sms'])
  const sender = await open(url, { voice: true })
  assert.deepEqual(sender.transports, ['sms', 'voice'])
  await sender.send(codeRequest({ transport: 'voice', languages: ['es-MX'] }))
  const { transport, text, code } = JSON.parse(got[0]!.body)
  assert.deepEqual([transport, text, code], ['voice', 'Tu código de Heliograph es:', CODE])
})

const ANSWERS = [
  [200, { kind: 'sent' }],
  [299, { kind: 'sent' }],
  [400, { kind: 'refused', reason: 'illegalArgument', permanentFailure: true, detail: 400 }],
  [403, { kind: 'refused', reason: 'providerRejected', permanentFailure: true, detail: 403 }],
  [422, { kind: 'not-allowed', detail: 422 }],
  [401, { kind: 'refused', reason: 'providerUnavailable', permanentFailure: false, detail: 401 }],
  [500, { kind: 'refused', reason: 'providerUnavailable', permanentFailure: false, detail: 500 }],
  [503, { kind: 'refused', reason: 'providerUnavailable', permanentFailure: false, detail: 503 }],
  [502, { kind: 'unknown', detail: 502 }],
  [504, { kind: 'unknown', detail: 504 }],
] as const

for (const [status, outcome] of ANSWERS)
  test(`a gateway that answers ${status} makes it "${outcome.kind}"`, async (t) => {
    const { url, got } = await openGateway(t, answering(status))
    assert.deepEqual(await (await open(url)).send(codeRequest()), outcome)
    assert.equal(got.length, 1)
  })

test('a gateway that has too much to do says when to come again', async (t) => {
  const { url } = await openGateway(t, answering(429, { 'Retry-After': '40' }))
  const outcome = await (await open(url)).send(codeRequest())
  assert.deepEqual(outcome, { kind: 'rate-limited', retryAfterSeconds: 40, detail: 429 })
})

test('a redirect is not followed: the code goes where the operator said, or nowhere', async (t) => {
  const elsewhere = await openGateway(t, answering(200))
  const { url } = await openGateway(t, answering(307, { Location: elsewhere.url }))
  assert.equal((await (await open(url)).send(codeRequest())).kind, 'refused')
  assert.equal(elsewhere.got.length, 0)
})

test('what may have arrived is told apart from what cannot have', async (t) => {
  const { url } = await openGateway(t, (response) => response.destroy())
  assert.deepEqual(await (await open(url)).send(codeRequest()), { kind: 'unknown', detail: 'ECONNRESET' })
  const port = createPort()
  const { url: gone, close } = await listenOnLoopback(port)
  await close()
  const refused = { kind: 'refused', reason: 'providerUnavailable', permanentFailure: false }
  assert.deepEqual(await (await open(gone)).send(codeRequest()), { ...refused, detail: 'ECONNREFUSED' })
})

/** The only program of the page. */
function documentedReceiver(): string {
  const page = readFileSync(new URL('../../../../docs/protocol/code-webhook.md', import.meta.url), 'utf8')
  const programs = Array.from(page.matchAll(/```js\n(.*?)```/gs), ([, program]) => program!)
  assert.equal(programs.length, 1)
  return programs[0]!
}

test('the receiver of the documentation takes our codes, and nobody else’s', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'helio-receiver-'))
  t.after(() => rm(folder, { recursive: true }))
  const program = join(folder, 'receiver.mjs')
  await writeFile(program, documentedReceiver())
  const port = createPort()
  const { port: free, close } = await listenOnLoopback(port)
  await close()
  const receiver = spawn(process.execPath, [program], {
    env: { SECRET, PORT: String(free) },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(async () => {
    receiver.kill()
    await once(receiver, 'exit')
  })
  const url = `http://127.0.0.1:${free}/`
  const headers = { 'Heliograph-Timestamp': '0', 'Heliograph-Signature': 'v1=' }
  const forged = () =>
    ask({ method: 'POST', url, headers, body: '{}', timeoutMs: 5000 }).catch(() => undefined)
  const refusal = async () => {
    for (;;) {
      const answer = await forged()
      if (answer) return answer.status
      await setImmediate()
    }
  }
  assert.equal(await within(refusal(), 'the receiver listens'), 401)

  const clock = new ManualClock(Date.now())
  const printed = once(receiver.stdout!, 'data')
  assert.deepEqual(await (await open(url, {}, clock)).send(codeRequest()), { kind: 'sent' })
  assert.equal(String(await printed), `${NUMBER}\tHeliograph code: ${CODE}. Do not share it with anyone.\n`)

  const refused = { kind: 'refused', reason: 'providerUnavailable', permanentFailure: false, detail: 401 }
  const other = await open(url, { secret: 'another secret, as long' }, clock)
  assert.deepEqual(await other.send(codeRequest()), refused)
  clock.set(Date.now() - 301_000)
  assert.deepEqual(await (await open(url, {}, clock)).send(codeRequest()), refused)
})
