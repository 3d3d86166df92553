// Proving a phone number: verification sessions (docs/protocol/verification.md).
import { z } from 'zod'
import { form, json, nothing, route } from '../route.ts'
import { text } from '../types.ts'

const pushTokenType = z.enum(['apn', 'fcm'])

/** A number's session as clients see it. Durations are seconds from now; 0 is now, null is not possible. */
export const VerificationSession = z.object({
  id: z.string(),
  nextSms: z.int().nullable(),
  nextCall: z.int().nullable(),
  nextVerificationAttempt: z.int().nullable(),
  allowedToRequestCode: z.boolean(),
  requestedInformation: z.array(z.enum(['pushChallenge', 'captcha'])),
  verified: z.boolean(),
})

const CreateSession = z.object({
  number: text(64).min(1),
  pushToken: text(4096).nullish(),
  pushTokenType: pushTokenType.nullish(),
  pushChallenge: text(256).nullish(),
  captcha: text(8192).nullish(),
  mcc: text(8).nullish(),
  mnc: text(8).nullish(),
})

const session = json(VerificationSession)
const params = { sessionId: text(256).min(1) }

export const verificationRoutes = {
  create: route({
    method: 'POST',
    path: '/v1/verification/session',
    auth: 'none',
    summary: 'Opens a session that proves a phone number',
    limiters: ['verificationSession'],
    body: json(CreateSession),
    replies: {
      200: session,
      400: json(z.object({ originalNumber: z.string(), normalizedNumber: z.string() }).optional()),
      499: nothing,
    },
  }),
  update: route({
    method: 'PATCH',
    path: '/v1/verification/session/:sessionId',
    auth: 'none',
    summary: 'Answers what the session asks for: a captcha or a push challenge',
    limiters: ['verificationPushChallenge', 'verificationCaptcha'],
    params,
    body: json(CreateSession.omit({ number: true })),
    replies: { 200: session, 400: nothing, 403: session, 404: nothing, 429: session },
  }),
  get: route({
    method: 'GET',
    path: '/v1/verification/session/:sessionId',
    auth: 'none',
    summary: 'Reads the session',
    params,
    replies: { 200: session, 404: nothing },
  }),
  requestCode: route({
    method: 'POST',
    path: '/v1/verification/session/:sessionId/code',
    auth: 'none',
    summary: 'Sends a code by SMS or voice',
    params,
    body: json(z.object({ transport: z.enum(['sms', 'voice']), client: text(64).nullish() })),
    replies: {
      200: session,
      404: nothing,
      409: session,
      418: session,
      429: session,
      440: json(
        z.object({
          reason: z.enum(['providerUnavailable', 'providerRejected', 'illegalArgument']),
          permanentFailure: z.boolean(),
        }),
      ),
    },
  }),
  submitCode: route({
    method: 'PUT',
    path: '/v1/verification/session/:sessionId/code',
    auth: 'none',
    summary: 'Checks a code; a wrong one is 200 with `verified: false`',
    params,
    body: json(z.object({ code: text(32).min(1) })),
    replies: { 200: session, 404: nothing, 409: session, 429: session },
  }),
  report: route({
    method: 'POST',
    path: '/v1/heliograph/verification/deliveries/:delivery',
    auth: 'none',
    summary: 'Takes Twilio’s news of a message or a call, signed by Twilio',
    params: { delivery: text(64).min(1) },
    headers: { 'x-twilio-signature': text(256).optional() },
    body: form,
    replies: { 204: nothing, 403: nothing },
  }),
}
