// Proof that a person is there, after a send was answered with 428 (docs/protocol/challenges.md).
import { z } from 'zod'
import { json, nothing, route } from '../route.ts'
import { text } from '../types.ts'

const answer = text(16_384).refine((value) => value.length > 0, 'must not be empty')

const ChallengeAnswer = z.union([
  z.object({ type: z.literal('captcha'), token: answer, captcha: answer }),
  z.object({ type: z.literal('rateLimitPushChallenge'), challenge: answer }),
])
export type ChallengeAnswer = z.output<typeof ChallengeAnswer>

export const challengesRoutes = {
  answer: route({
    method: 'PUT',
    path: '/v1/challenge',
    auth: 'device',
    summary: 'Answers a challenge; a wrong push challenge is 200 and changes nothing',
    limiters: [
      'captchaChallengeAttempt',
      'captchaChallengeSuccess',
      'pushChallengeAttempt',
      'pushChallengeSuccess',
      'rateLimitReset',
    ],
    body: json(ChallengeAnswer),
    replies: { 200: nothing, 400: nothing, 428: nothing },
  }),
  requestPush: route({
    method: 'POST',
    path: '/v1/challenge/push',
    auth: 'device',
    summary: 'Sends a challenge to the account’s primary device by push',
    replies: { 200: nothing, 404: nothing },
  }),
}
