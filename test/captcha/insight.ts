// What only the server can see: for tests that answer as a person would.

import { z } from 'zod'
import { Seal } from '../../server/captcha/seal.ts'
import { systemRandom } from '../../server/kit/random.ts'
import type { Constellation } from '../constellation.ts'

const schema = z.looseObject({ answer: z.string() })

/** What a picture shows, or a sound says. */
export async function answerTo(server: Constellation, challenge: string): Promise<string> {
  const { captchaSecret: secret } = await server.secrets()
  const seal = new Seal({ secret, purpose: 'captcha challenge', schema, random: systemRandom })
  return seal.open(challenge)!.answer
}
