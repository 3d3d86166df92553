import { verificationRoutes } from '../../../wire/rest/verification.ts'
import { type Bound, implement } from '../../../wire/route.ts'
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
    async requestCode({ params, body }) {
      return reply(await verification.requestCode(params.sessionId, body.transport), 418)
    },
    async submitCode({ params, body }) {
      return reply(await verification.submitCode(params.sessionId, body.code), 409)
    },
  })

const STATUS = { ok: 200, conflict: 409, 'too-soon': 429 } as const

function reply<Unavailable extends 409 | 418>(answered: Answered, unavailable: Unavailable) {
  if (answered.kind === 'not-found') return { status: 404 } as const
  const status = answered.kind === 'unavailable' ? unavailable : STATUS[answered.kind]
  const { session: body, retryAfterSeconds } = answered
  const headers = retryAfterSeconds === undefined ? {} : { 'Retry-After': String(retryAfterSeconds) }
  return { status, body, headers }
}
