import { verificationRoutes } from '../../../wire/rest/verification.ts'
import { type Bound, implement } from '../../../wire/route.ts'
import { preferredLanguages } from '../../kit/accept-language.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { PushToken } from '../challenges/push.ts'
import type { ClientKind } from './senders/sender.ts'
import type { SessionView } from './session-view.ts'
import type { Verification } from './verification.ts'

export const verificationRest = (verification: Verification): Bound[] =>
  implement(verificationRoutes, {
    async create({ body }) {
      const opened = await verification.open(body.number, pushTokenOf(body))
      if (opened.kind === 'opened') return { status: 200, body: opened.session }
      if (opened.kind === 'obsolete') return { status: 499 }
      if (opened.kind === 'impossible') return { status: 400, body: undefined }
      return { status: 400, body: { originalNumber: body.number, normalizedNumber: opened.normalized } }
    },
    async update({ params, body, remoteAddress, userAgent }) {
      const [pushChallenge, captcha] = [body.pushChallenge ?? undefined, body.captcha ?? undefined]
      const answers = { pushToken: pushTokenOf(body), pushChallenge, captcha, remoteAddress, userAgent }
      const updated = await verification.update(params.sessionId, answers)
      return updated.kind === 'not-found' ? NOT_FOUND : withSession(updated)
    },
    async get({ params }) {
      const session = await verification.get(params.sessionId)
      return session ? { status: 200, body: session } : { status: 404 }
    },
    async requestCode({ params, body, remoteAddress, acceptLanguage }) {
      const languages = preferredLanguages(acceptLanguage)
      const asking = { languages, client: clientKind(body.client), remoteAddress }
      const requested = await verification.requestCode(params.sessionId, body.transport, asking)
      if (requested.kind === 'unavailable') return { status: 418, body: requested.session }
      if (requested.kind === 'not-sent') return { status: 440, body: requested.failure }
      return requested.kind === 'not-found' ? NOT_FOUND : withSession(requested)
    },
    async submitCode({ params, body }) {
      const submitted = await verification.submitCode(params.sessionId, body.code)
      return submitted.kind === 'not-found' ? NOT_FOUND : withSession(submitted)
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

const STATUS = { ok: 200, wrong: 403, conflict: 409, 'too-soon': 429 } as const

const NOT_FOUND = { status: 404 } as const

function withSession<Kind extends keyof typeof STATUS>(answered: WithSession<Kind>) {
  const { kind, session: body, retryAfterSeconds } = answered
  const headers = retryAfterSeconds === undefined ? {} : { 'Retry-After': String(retryAfterSeconds) }
  return { status: STATUS[kind], body, headers }
}

type WithSession<Kind> = {
  readonly kind: Kind
  readonly session: SessionView
  readonly retryAfterSeconds?: number | undefined
}

type PushFields = {
  readonly pushToken?: string | null | undefined
  readonly pushTokenType?: PushToken['type'] | null | undefined
}

/** Refuses (422) one without the other. */
function pushTokenOf({ pushToken: token, pushTokenType: type }: PushFields): PushToken | undefined {
  if ((token == null) !== (type == null))
    throw new Refusal('invalid', { field: 'pushToken', message: 'goes together with pushTokenType' })
  return token == null || type == null ? undefined : { token, type }
}
