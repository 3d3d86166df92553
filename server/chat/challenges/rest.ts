import { type ChallengeAnswer, challengesRoutes } from '../../../wire/rest/challenges.ts'
import { type Bound, implement } from '../../../wire/route.ts'
import type { DeviceAddress } from '../../../wire/types.ts'
import type { Challenges } from './challenges.ts'

type From = { readonly remoteAddress: string; readonly userAgent: string | undefined }

export const challengesRest = (challenges: Challenges): Bound[] =>
  implement(challengesRoutes, {
    async answer({ caller, body, remoteAddress, userAgent }) {
      return { status: (await answered(challenges, caller, body, { remoteAddress, userAgent })) ? 200 : 428 }
    },
    async requestPush({ caller }) {
      return { status: (await challenges.requestPush(caller)) ? 200 : 404 }
    },
  })

/** False for a wrong captcha. A wrong push challenge is not told from the right one. */
async function answered(
  challenges: Challenges,
  caller: DeviceAddress,
  body: ChallengeAnswer,
  from: From,
): Promise<boolean> {
  if (body.type === 'captcha') return challenges.answerCaptcha(caller, { captcha: body.captcha, ...from })
  await challenges.answerPush(caller, body.challenge)
  return true
}
