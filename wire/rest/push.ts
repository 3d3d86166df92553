// How the chat server asks a push gateway that is a process of its own. Credentials: `push` and the gateway's secret.
import { z } from 'zod'
import { json, nothing, route } from '../route.ts'
import { base64, text } from '../types.ts'

const token = text(4096).min(1)
const bytes = base64('url', { min: 1, max: 200 })
const PushAddress = z.discriminatedUnion('service', [
  z.object({ service: z.enum(['apn', 'fcm']), token }),
  z.object({
    service: z.literal('web'),
    subscription: z.object({
      endpoint: text(2048).min(1),
      keys: z.object({ p256dh: bytes, auth: bytes }).optional(),
    }),
  }),
])
const Notice = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('message'), urgent: z.boolean() }),
  z.object({ kind: z.enum(['challenge', 'rateLimitChallenge', 'attemptLogin']), value: text(256) }),
  z.object({ kind: z.literal('verificationCode'), atMs: z.int().min(0) }),
])
const Pushed = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('sent') }),
  z.object({ kind: z.literal('unregistered'), sinceMs: z.int().min(0).optional() }),
  z.object({ kind: z.literal('refused'), reason: text(256) }),
  z.object({ kind: z.literal('unserved') }),
  z.object({ kind: z.literal('later'), afterMs: z.number().min(0), untried: z.literal(true).optional() }),
])
const Health = z.object({
  provider: z.enum(['apn', 'fcm', 'web']),
  state: z.enum(['up', 'down', 'unknown']),
  reason: text(256).optional(),
})

export const MAX_PUSHES = 100

export const pushRoutes = {
  push: route({
    method: 'POST',
    path: '/v1/heliograph/push',
    auth: 'basic',
    summary: 'Tries each push once; for the chat server alone',
    body: json(z.object({ pushes: z.array(z.object({ to: PushAddress, notice: Notice })).max(MAX_PUSHES) })),
    replies: { 200: json(z.object({ outcomes: z.array(Pushed) })), 401: nothing },
  }),
  health: route({
    method: 'GET',
    path: '/v1/heliograph/push/health',
    auth: 'basic',
    summary: 'Tells which providers answer; for the chat server alone',
    replies: { 200: json(z.object({ providers: z.array(Health) })), 401: nothing },
  }),
}
