// A call as Twilio's markup: the words, then each digit by itself, three times over.
import type { CodeRequest } from './sender.ts'
import { speechFor } from './voice.ts'

const TIMES = 3
const PAUSE = '<Pause length="1"/>'

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
const escaped = (text: string) => text.replace(/[&<>"]/g, (sign) => ESCAPES[sign]!)

export function twimlFor({ languages, code }: CodeRequest, serviceName: string): string {
  const { language, words } = speechFor(languages, serviceName)
  const say = (text: string) => `<Say language="${language}">${escaped(text)}</Say>`
  const once = [say(words), ...Array.from(code, say)].join(PAUSE)
  return `<Response>${PAUSE}${Array(TIMES).fill(once).join(PAUSE)}</Response>`
}
