import { Challenge } from '../../../wire/gen/challenge.js'
import { type GrpcMethod, implementService } from '../../kit/grpc-service.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { Challenges } from './challenges.ts'

function filled(field: string, text: string): string {
  if (text === '') throw new Refusal('invalid', { field, message: 'must not be empty' })
  return text
}

export const challengesGrpc = (challenges: Challenges): GrpcMethod[] =>
  implementService(Challenge, {
    async handleChallengeResponse({ token, push, captcha }, { device, remoteAddress, userAgent }) {
      filled('token', token)
      if (push) return { success: await challenges.answerPush(device, filled('challenge', push.challenge)) }
      const solution = { captcha: filled('captcha', captcha?.captcha ?? ''), remoteAddress, userAgent }
      return { success: await challenges.answerCaptcha(device, solution) }
    },
  })
