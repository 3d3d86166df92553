// The sender `smtp`, against a mail server (`smtp-server`) whose mail is read by `mailparser`.
import assert from 'node:assert/strict'
import { createServer as createPort, type Socket } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { type ParsedMail, simpleParser } from 'mailparser'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'
import { CODE, codeRequest, NUMBER } from '../../../../test/code-request.ts'
import { listenOnLoopback } from '../../../../test/loopback.ts'
import { makeCertificates } from '../../../../test/loopback-certificates.ts'
import { configSchema } from '../../../kit/config-schema.ts'
import { SmtpSender } from './smtp.ts'

const open = (fields: object) =>
  SmtpSender.open({
    ...configSchema.parse({
      smtp: {
        host: 'localhost',
        from: 'Heliograph <codes@example.org>',
        to: '{number}@sms.example.org',
        ...fields,
      },
    }),
    secrets: '',
  })

type Mail = {
  readonly to: readonly string[]
  readonly secure: boolean
  readonly user: unknown
  readonly parsed: ParsedMail
}

async function openMailServer(t: TestContext, options: SMTPServerOptions = {}) {
  const mails: Mail[] = []
  const { cert, key, caFile } = await makeCertificates(t)
  const smtp = new SMTPServer({
    ...{ cert, key, authOptional: true, logger: false },
    onAuth: ({ username, password }, _, done) =>
      password === 'right' ? done(null, { user: username }) : done(new Error('no')),
    onData: (stream, session, done) => {
      void (async () => {
        const parsed = await simpleParser(await buffer(stream))
        const to = session.envelope.rcptTo.map(({ address }) => address)
        mails.push({ to, secure: Boolean(session.secure), user: session.user, parsed })
        done()
      })()
    },
    ...options,
  })
  smtp.on('error', () => {})
  const { port } = await listenOnLoopback(smtp.server)
  t.after(() => new Promise<void>((closed) => smtp.close(() => closed())))
  return { port, caFile, mails }
}

test('a code goes to the address of its number, over STARTTLS, after a login', async (t) => {
  const { port, caFile, mails } = await openMailServer(t)
  const sender = await open({ port, caFile, user: 'helio', password: 'right' })
  assert.deepEqual(sender.transports, ['sms'])
  assert.deepEqual(await sender.send(codeRequest({ languages: ['he'] })), { kind: 'sent' })
  const [{ to, secure, user, parsed }] = mails as [Mail]
  assert.deepEqual([to, secure, user, mails.length], [['12025550123@sms.example.org'], true, 'helio', 1])
  assert.equal(parsed.text?.trim(), `קוד Heliograph: ${CODE}. אין לשתף אותו.`)
  assert.deepEqual([parsed.subject, parsed.from?.text], ['Heliograph', '"Heliograph" <codes@example.org>'])
  assert.equal(parsed.headers.get('auto-submitted'), 'auto-generated')
})

test('a mailbox of the operator’s is told whose code it is', async (t) => {
  const { port, caFile, mails } = await openMailServer(t, { secure: true })
  const sender = await open({ port, caFile, security: 'tls', to: 'operator@example.org' })
  assert.deepEqual(await sender.send(codeRequest()), { kind: 'sent' })
  assert.deepEqual(mails[0]!.to, ['operator@example.org'])
  assert.equal(
    mails[0]!.parsed.text?.trim(),
    `${NUMBER}\nHeliograph code: ${CODE}. Do not share it with anyone.`,
  )
})

test('a number may be written with its plus', async (t) => {
  const { port, caFile, mails } = await openMailServer(t)
  await (await open({ port, caFile, to: '{e164}@sms.example.org' })).send(codeRequest())
  assert.deepEqual(mails[0]!.to, [`${NUMBER}@sms.example.org`])
})

test('without TLS, or by a certificate that nobody vouches for, no mail goes', async (t) => {
  const refused = { kind: 'refused', reason: 'providerUnavailable', permanentFailure: false }
  const plain = await openMailServer(t, { hideSTARTTLS: true, disabledCommands: ['STARTTLS'] })
  const { detail, ...outcome } = (await (
    await open({ port: plain.port, caFile: plain.caFile })
  ).send(codeRequest())) as {
    detail: unknown
  }
  assert.deepEqual([outcome, String(detail).length > 0], [refused, true])
  const unknown = await openMailServer(t)
  assert.equal((await (await open({ port: unknown.port })).send(codeRequest())).kind, 'refused')
  assert.deepEqual([plain.mails, unknown.mails], [[], []])
  const local = await open({ port: plain.port, security: 'none' })
  assert.deepEqual(await local.send(codeRequest()), { kind: 'sent' })
  assert.equal(plain.mails[0]!.secure, false)
})

test('what the mail server refuses is told by its reply, never by its words', async (t) => {
  const refusing = (command: 'onRcptTo' | 'onMailFrom', responseCode: number): SMTPServerOptions => ({
    [command]: (_: unknown, __: unknown, done: (error: Error) => void) =>
      done(Object.assign(new Error(`not ${NUMBER}`), { responseCode })),
  })
  const outcomeWith = async (options: SMTPServerOptions, fields: object = {}) => {
    const { port, caFile } = await openMailServer(t, options)
    return (await open({ port, caFile, ...fields })).send(codeRequest())
  }
  const unavailable = { kind: 'refused', reason: 'providerUnavailable', permanentFailure: false }
  const rejected = { kind: 'refused', reason: 'providerRejected', permanentFailure: true }
  assert.deepEqual(await outcomeWith(refusing('onRcptTo', 550)), { ...rejected, detail: 550 })
  assert.deepEqual(await outcomeWith(refusing('onRcptTo', 451)), { ...unavailable, detail: 451 })
  assert.deepEqual(await outcomeWith(refusing('onMailFrom', 530)), { ...unavailable, detail: 530 })
  const login = await outcomeWith({}, { user: 'helio', password: 'wrong' })
  assert.deepEqual(login, { ...unavailable, detail: 535 })
  const late: SMTPServerOptions = {
    onData: (stream, _, done) => {
      stream.resume().on('end', () => done(Object.assign(new Error('full'), { responseCode: 452 })))
    },
  }
  assert.deepEqual(await outcomeWith(late), { ...unavailable, detail: 452 })
})

test('a connection that is lost with the mail leaves it unknown; one that never was does not', async (t) => {
  const sockets: Socket[] = []
  const { port, caFile } = await openMailServer(t, {
    onConnect: (_, done) => done(),
    onData: (stream) => {
      stream.resume().on('end', () => sockets.forEach((socket) => void socket.destroy()))
    },
  })
  const relay = createPort((socket) => {
    sockets.push(socket)
    socket.on('error', () => {})
    void import('node:net').then(({ connect }) => {
      const onward = connect(port, '127.0.0.1')
      onward.on('error', () => {})
      socket.pipe(onward).pipe(socket)
      socket.on('close', () => onward.destroy())
    })
  })
  const { port: relayPort, close } = await listenOnLoopback(relay)
  t.after(close)
  const sender = await open({ port: relayPort, caFile })
  assert.equal((await sender.send(codeRequest())).kind, 'unknown')
  await close()
  const outcome = await sender.send(codeRequest())
  assert.deepEqual(outcome, {
    ...{ kind: 'refused', reason: 'providerUnavailable', permanentFailure: false },
    detail: 'ECONNREFUSED',
  })
})
