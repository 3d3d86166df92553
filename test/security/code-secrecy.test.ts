// R8: what carries a code keeps it to itself, and so does whatever reports a failure of it.
import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { buffer, text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { inspect } from 'node:util'
import { SMTPServer } from 'smtp-server'
import { chatEvents } from '../../server/chat/events.ts'
import { SenderChain } from '../../server/chat/verification/senders/chain.ts'
import { openSenders } from '../../server/chat/verification/senders/open.ts'
import type { Transport } from '../../server/chat/verification/senders/sender.ts'
import { ManualClock } from '../../server/kit/clock.ts'
import { configSchema } from '../../server/kit/config-schema.ts'
import { Counters } from '../../server/kit/counters.ts'
import { createLog } from '../../server/kit/log.ts'
import { CODE, codeRequest, NUMBER } from '../code-request.ts'
import { listenOnLoopback } from '../loopback.ts'

const DIGITS = NUMBER.slice(1)
const SECRETS = { authToken: 'the auth token', secret: 'the secret of the webhook', password: 'the password' }
const SAID = [CODE, DIGITS, encodeURIComponent(NUMBER), ...Object.values(SECRETS)]

/** Whatever this process prints while `run` runs. */
async function printed(run: () => Promise<unknown>): Promise<string> {
  const lines: string[] = []
  const streams = [process.stdout, process.stderr]
  const writes = streams.map((stream) => stream.write)
  for (const [index, stream] of streams.entries())
    stream.write = ((...given: Parameters<typeof stream.write>) => {
      lines.push(String(given[0]))
      return writes[index]!.apply(stream, given)
    }) as typeof stream.write
  try {
    await run()
  } finally {
    for (const [index, stream] of streams.entries()) stream.write = writes[index]!
  }
  return lines.join('')
}

type Answer = (request: IncomingMessage, body: string, response: ServerResponse) => void

/** A provider whose answers repeat all that it was told. */
async function openProvider(t: TestContext, answer: Answer) {
  const server = createServer(async (request, response) => answer(request, await text(request), response))
  const { url, close } = await listenOnLoopback(server)
  t.after(close)
  return url
}

async function openMailServer(t: TestContext) {
  const smtp = new SMTPServer({
    ...{ authOptional: true, disabledCommands: ['STARTTLS'], logger: false },
    onData: (stream, _, done) =>
      void buffer(stream).then((mail) =>
        done(Object.assign(new Error(`not ${mail}`), { responseCode: 554 })),
      ),
  })
  smtp.on('error', () => {})
  const { port } = await listenOnLoopback(smtp.server)
  t.after(() => new Promise<void>((closed) => smtp.close(() => closed())))
  return port
}

const REPEATING: Readonly<Record<string, Answer>> = {
  'refuse with words': (_, body, response) =>
    response
      .writeHead(400, { 'X-Why': encodeURIComponent(body).slice(0, 500) })
      .end(JSON.stringify({ code: 21_216, message: decodeURIComponent(body), more_info: body })),
  'refuse with a code that is ours': (_, body, response) =>
    response.writeHead(400).end(JSON.stringify({ code: /\d{6}/.exec(body)?.[0], message: body })),
  'answer what is no JSON': (_, body, response) => response.writeHead(500).end(`<p>${body}`),
  'redirect to an address of them': (_, body, response) =>
    response
      .writeHead(302, { Location: `http://127.0.0.1:1/${encodeURIComponent(body).slice(0, 500)}` })
      .end(),
  'break off': (_, __, response) => response.destroy(),
  'take it': (_, body, response) => response.writeHead(201).end(JSON.stringify({ sid: 'SM1', body })),
}

for (const [what, answer] of Object.entries(REPEATING))
  for (const transport of ['sms', 'voice'] as Transport[])
    test(`R8: of providers that ${what} by ${transport}, nothing is printed, logged, counted or returned that tells number, code or secret`, async (t) => {
      const url = await openProvider(t, answer)
      const port = await openMailServer(t)
      const config = configSchema.parse({
        registration: { senders: ['twilio', 'twilio-verify', 'webhook', 'smtp'] },
        twilio: {
          ...{ accountSid: `AC${'0'.repeat(32)}`, authToken: SECRETS.authToken, from: '+12025550100' },
          ...{
            voiceFrom: '+12025550100',
            verifyServiceSid: `VA${'0'.repeat(32)}`,
            apiUrl: url,
            verifyUrl: url,
          },
        },
        webhook: { url, secret: SECRETS.secret, voice: true },
        smtp: {
          host: '127.0.0.1',
          port,
          security: 'none',
          from: 'a@example.org',
          to: '{number}@example.org',
        },
      })
      process.env['TWILIO_LOG_LEVEL'] = 'debug'
      t.after(() => delete process.env['TWILIO_LOG_LEVEL'])
      const clock = new ManualClock()
      const senders = await openSenders({ ...config, secrets: '' }, { outbox: '', clock })
      const counters = new Counters()
      const lines: string[] = []
      const log = createLog({ level: 'debug', sink: { write: (line) => lines.push(line) } })
      const outcomes: unknown[] = []
      const output = await printed(async () => {
        for (const sender of senders.filter(({ transports }) => transports.includes(transport))) {
          const chain = new SenderChain({ senders: [sender], clock, events: chatEvents(counters, log) })
          outcomes.push(await chain.send(codeRequest({ transport }), ''))
          if (sender.check) outcomes.push(await chain.check(sender.name, `VE${'0'.repeat(32)}`, CODE))
        }
      })
      assert.equal(outcomes.length, transport === 'sms' ? 5 : 4)
      assert.ok(Object.keys(counters.snapshot()).length > 0)
      // What the mail server refuses is told whatever the others do.
      if (transport === 'sms') assert.ok(lines.some((line) => line.includes('"detail":554')))
      const told = [output, ...lines, inspect(outcomes, { depth: 9 }), inspect(counters.snapshot())].join(
        '\n',
      )
      for (const secret of SAID) assert.ok(!told.includes(secret), `${secret} in ${told}`)
    })
