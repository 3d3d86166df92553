// What Twilio says on the telephone (https://www.twilio.com/docs/voice/twiml/say).
import { languageOf } from './language.ts'
import { type Language, ownLanguage, spokenFor } from './wording.ts'

/** Our languages that Twilio can say, each with the tag that it has there, and the regions that it tells apart. */
const VOICES = {
  en: ['en-US', 'en-GB', 'en-AU', 'en-CA', 'en-IE', 'en-IN', 'en-NZ', 'en-ZA'],
  ar: ['ar-XA', 'ar-AE'],
  bg: ['bg-BG'],
  ca: ['ca-ES'],
  cs: ['cs-CZ'],
  da: ['da-DK'],
  de: ['de-DE', 'de-AT'],
  el: ['el-GR'],
  es: ['es-ES', 'es-MX', 'es-US'],
  fi: ['fi-FI'],
  fr: ['fr-FR', 'fr-CA', 'fr-BE'],
  he: ['he-IL'],
  hi: ['hi-IN'],
  hu: ['hu-HU'],
  id: ['id-ID'],
  it: ['it-IT'],
  ja: ['ja-JP'],
  ko: ['ko-KR'],
  nb: ['nb-NO'],
  nl: ['nl-NL', 'nl-BE'],
  pl: ['pl-PL'],
  pt: ['pt-PT', 'pt-BR'],
  ro: ['ro-RO'],
  ru: ['ru-RU'],
  sk: ['sk-SK'],
  sv: ['sv-SE'],
  th: ['th-TH'],
  tr: ['tr-TR'],
  uk: ['uk-UA'],
  vi: ['vi-VN'],
  zh: ['zh-CN'],
  'zh-Hant': ['zh-TW', 'zh-HK'],
} as const satisfies Partial<Readonly<Record<Language, readonly string[]>>>

export type VoiceTag = (typeof VOICES)[keyof typeof VOICES][number]
export const SPOKEN = Object.keys(VOICES) as (keyof typeof VOICES)[]

/** What a call says, and in which of Twilio's languages: the one that the client likes best of those that can be said. */
export function speechFor(wanted: readonly string[], name: string): { language: VoiceTag; words: string } {
  const own = ownLanguage(wanted, SPOKEN) as keyof typeof VOICES
  const tags: readonly VoiceTag[] = VOICES[own]
  return { language: languageOf(wanted, tags) ?? tags[0]!, words: spokenFor(own, name) }
}
