// A call as Twilio's markup: the words, then each digit by itself, three times over.
import type { twiml } from 'twilio'
import type { CodeRequest } from './sender.ts'
import { speechFor } from './voice.ts'

const TIMES = 3

/** Writes a call into an empty response of Twilio's package. */
export function twimlFor(
  { languages, code }: CodeRequest,
  serviceName: string,
  response: twiml.VoiceResponse,
): string {
  const { language, words } = speechFor(languages, serviceName)
  for (let time = 0; time < TIMES; time++)
    for (const text of [words, ...code]) {
      response.pause({ length: 1 })
      response.say({ language }, text)
    }
  return response.toString()
}
