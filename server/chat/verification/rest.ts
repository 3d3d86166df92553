import { verificationRoutes } from '../../../wire/rest/verification.ts'
import { type Bound, implement } from '../../../wire/route.ts'
import { preferredLanguages } from '../../kit/accept-language.ts'
import type { ClientKind } from './senders/sender.ts'
import type { Answered, Verification } from './verification.ts'

export const verificationRest = (verification: Verification): Bound[] =>
  implement(verificationRoutes, {
    async create({ body }) {
      const opened = await verification.open(body.number)
      if (opened.kind === 'opened') return { status: 200, body: opened.session }
      if (opened.kind === 'obsolete') return { status: 499 }
      if (opened.kind === 'impossible') return { status: 400, body: undefined }
      return { status: 400, body: { originalNumber: body.number, normalizedNumber: opened.normalized } }
    },
    async update({ params }) {
      const session = await verification.get(params.sessionId)
      return session ? { status: 200, body: session } : { status: 404 }
    },
    async get({ params }) {
      const session = await verification.get(params.sessionId)
      return session ? { status: 200, body: session } : { status: 404 }
    },
    async requestCode({ params, body, acceptLanguage }) {
      const asking = { languages: preferredLanguages(acceptLanguage), client: clientKind(body.client) }
      const requested = await verification.requestCode(params.sessionId, body.transport, asking)
      if (requested.kind === 'unavailable') return { status: 418, body: requested.session }
      if (requested.kind === 'not-sent') return { status: 440, body: requested.failure }
      return reply(requested)
    },
    async submitCode({ params, body }) {
      return reply(await verification.submitCode(params.sessionId, body.code))
    },
    async report({ params, headers, body }) {
      const signature = headers['x-twilio-signature'] ?? ''
      const theirs = await verification.report('twilio', { ...params, signature, fields: body })
      return { status: theirs ? 204 : 403 }
    },
  })

/** signal-api §2.1, `client` */
function clientKind(client: string | null | undefined): ClientKind {
  if (client === 'ios') return 'ios'
  if (client === 'android-2021-03') return 'android'
  return client?.toLowerCase().startsWith('android') ? 'android-plain' : 'unknown'
}

const STATUS = { ok: 200, conflict: 409, 'too-soon': 429 } as const

function reply(answered: Answered) {
  if (answered.kind === 'not-found') return { status: 404 } as const
  const { session: body, retryAfterSeconds } = answered
  const headers = retryAfterSeconds === undefined ? {} : { 'Retry-After': String(retryAfterSeconds) }
  return { status: STATUS[answered.kind], body, headers }
}
