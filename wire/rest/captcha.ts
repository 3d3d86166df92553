// The captcha: pages for people, and what their scripts and other people's servers ask (docs/protocol/captcha.md).
import { z } from 'zod'
import { type Body, json, nothing, octets, type Route, route } from '../route.ts'
import { text } from '../types.ts'

const html = octets('text/html; charset=utf-8')
const sealed = text(1000)
const actionText = z.string().regex(/^[A-Za-z0-9_/-]{1,32}$/)
const kind = z.enum(['picture', 'sound'])
const siteKey = text(64)
const ANYBODY = 'none'

/** As forms are sent, or as JSON: what the services do whose place this one takes. */
function formOrJson<S extends z.ZodType>(schema: S): Body<z.output<S>> {
  const asJson = json(schema)
  return {
    ...asJson,
    contentType: 'application/x-www-form-urlencoded',
    decode(bytes) {
      const source = Buffer.from(bytes).toString('utf8')
      if (/^\s*[{[]/.test(source)) return asJson.decode(bytes)
      return asJson.decode(Buffer.from(JSON.stringify(Object.fromEntries(new URLSearchParams(source)))))
    },
  }
}

const page = (path: string, summary: string) =>
  route({
    method: 'GET',
    path,
    auth: ANYBODY,
    summary,
    limiters: ['captchaRiddle'],
    query: { with: kind.optional().catch(undefined) },
    replies: { 200: html, 403: html, 429: html },
  })

const Verified = z.object({
  success: z.boolean(),
  challenge_ts: z.string().optional(),
  hostname: z.string().optional(),
  action: z.string().optional(),
  'error-codes': z.array(z.string()).optional(),
})

/** A request that lacks something is answered with an error code, as those services do. */
const asked = z.string().max(8192).optional().catch(undefined)
const Question = z.object({
  secret: asked,
  response: asked,
  solution: asked,
  remoteip: asked,
  sitekey: asked,
})

const riddle = (path: string, summary: string, contentType: string) =>
  route({
    method: 'GET',
    path,
    auth: ANYBODY,
    summary,
    limiters: ['captchaRender'],
    params: { challenge: sealed },
    headers: { range: z.string().optional() },
    replies: { 200: octets(contentType), 206: octets(contentType), 404: nothing, 416: nothing, 503: nothing },
  })

export const captchaRoutes = {
  registration: page('/captcha/registration', 'The page that proves a person to who registers a number'),
  challenge: page('/captcha/challenge', 'The page that proves a person to who was challenged'),
  registrationAtSignal: page('/registration/generate.html', 'The same at the address that clients know'),
  challengeAtSignal: page('/challenge/generate.html', 'The same at the address that clients know'),
  widget: route({
    method: 'GET',
    path: '/captcha/widget',
    auth: ANYBODY,
    summary: 'The frame that the widget puts onto pages of other sites',
    limiters: ['captchaRiddle'],
    query: {
      sitekey: siteKey,
      origin: text(300),
      action: actionText.optional(),
      theme: z.enum(['light', 'dark']).optional().catch(undefined),
      with: kind.optional().catch(undefined),
    },
    replies: { 200: html, 403: html, 429: html },
  }),
  answer: route({
    method: 'POST',
    path: '/captcha/answer',
    auth: ANYBODY,
    summary: 'What somebody read or heard, sent by a form; the answer is a page',
    limiters: ['captchaAnswer', 'captchaRiddle'],
    body: formOrJson(z.object({ challenge: sealed, answer: text(100) })),
    replies: { 200: html, 403: html, 429: html },
  }),
  puzzle: route({
    method: 'POST',
    path: '/captcha/puzzles',
    auth: ANYBODY,
    summary: 'Hands out work for the device',
    limiters: ['captchaPuzzle'],
    body: json(z.object({ siteKey, action: actionText, origin: text(300).optional() })),
    replies: {
      200: json(
        z.object({
          challenge: z.string(),
          puzzle: z.object({
            algorithm: z.literal('argon2id'),
            memoryKiB: z.int(),
            salt: z.string(),
            count: z.int(),
            target: z.string(),
          }),
        }),
      ),
      403: nothing,
    },
  }),
  solve: route({
    method: 'POST',
    path: '/captcha/solutions',
    auth: ANYBODY,
    summary: 'Takes the result of the work, and gives a token',
    limiters: ['captchaAnswer'],
    body: json(z.object({ challenge: sealed, key: text(100) })),
    replies: {
      200: json(z.object({ token: z.string(), expiresInSeconds: z.int(), href: z.string().optional() })),
      403: nothing,
    },
  }),
  picture: riddle('/captcha/pictures/:challenge', 'The picture of a challenge', 'image/png'),
  sound: riddle('/captcha/sounds/:challenge', 'The sound of a challenge', 'audio/wav'),
  asset: route({
    method: 'GET',
    path: '/captcha/assets/:version/:name',
    auth: ANYBODY,
    summary: 'Styles and scripts of the pages',
    params: { version: text(64), name: text(64) },
    headers: { 'accept-encoding': z.string().optional() },
    replies: { 200: octets(), 404: nothing },
  }),
  api: route({
    method: 'GET',
    path: '/captcha/api.js',
    auth: ANYBODY,
    summary: 'The widget for other sites',
    headers: { 'accept-encoding': z.string().optional() },
    replies: { 200: octets() },
  }),
  verify: route({
    method: 'POST',
    path: '/siteverify',
    auth: ANYBODY,
    summary: 'Tells a site whether a token is good, once',
    limiters: ['captchaSecret'],
    body: formOrJson(Question),
    replies: { 200: json(Verified) },
  }),
} satisfies Readonly<Record<string, Route>>
