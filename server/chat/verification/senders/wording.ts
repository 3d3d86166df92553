// What people read and hear, in their language. `{name}` is the service, `{code}` the code.
import { languageOf } from './language.ts'

type Words = {
  /** Fits one SMS: 160 letters of GSM 03.38, or 70 of any script. */
  readonly text: string
  /** Said before the digits. */
  readonly spoken: string
}

const WORDS = {
  en: { text: '{name} code: {code}. Do not share it with anyone.', spoken: 'Your {name} code is:' },
  ar: { text: 'رمز {name}: {code}. لا تشاركه مع أحد.', spoken: 'رمز {name} الخاص بك هو:' },
  bg: { text: 'Код за {name}: {code}. Не го споделяйте.', spoken: 'Вашият код за {name} е:' },
  ca: { text: 'Codi de {name}: {code}. No el comparteixis.', spoken: 'El teu codi de {name} és:' },
  cs: { text: '{name} kód: {code}. S nikým ho nesdílejte.', spoken: 'Váš kód pro {name} je:' },
  da: { text: '{name}-kode: {code}. Del den ikke med nogen.', spoken: 'Din {name}-kode er:' },
  de: { text: '{name}-Code: {code}. Gib ihn nicht weiter.', spoken: 'Dein {name}-Code lautet:' },
  el: {
    text: 'Κωδικός {name}: {code}. Μην τον δώσετε πουθενά.',
    spoken: 'Ο κωδικός σας για το {name} είναι:',
  },
  es: { text: 'Código de {name}: {code}. No lo compartas.', spoken: 'Tu código de {name} es:' },
  fa: { text: 'کد {name}: {code}. آن را به کسی ندهید.', spoken: 'کد {name} شما:' },
  fi: { text: '{name}-koodi: {code}. Älä kerro sitä kenellekään.', spoken: '{name}-koodisi on:' },
  fr: { text: 'Code {name} : {code}. Ne le partagez pas.', spoken: 'Votre code {name} est :' },
  he: { text: 'קוד {name}: {code}. אין לשתף אותו.', spoken: 'קוד {name} שלך הוא:' },
  hi: { text: '{name} कोड: {code}. इसे किसी को न बताएँ।', spoken: 'आपका {name} कोड है:' },
  hu: { text: '{name}-kód: {code}. Ne ossza meg senkivel.', spoken: 'Az Ön {name}-kódja:' },
  id: { text: 'Kode {name}: {code}. Jangan berikan kepada siapa pun.', spoken: 'Kode {name} Anda adalah:' },
  it: { text: 'Codice {name}: {code}. Non condividerlo.', spoken: 'Il tuo codice {name} è:' },
  ja: {
    text: '{name}のコード: {code}。誰にも教えないでください。',
    spoken: '{name}のコードは次のとおりです。',
  },
  ko: { text: '{name} 코드: {code}. 다른 사람에게 알리지 마세요.', spoken: '{name} 코드는 다음과 같습니다.' },
  nb: { text: '{name}-kode: {code}. Ikke del den med noen.', spoken: 'Din {name}-kode er:' },
  nl: { text: '{name}-code: {code}. Deel hem met niemand.', spoken: 'Je {name}-code is:' },
  pl: { text: 'Kod {name}: {code}. Nikomu go nie podawaj.', spoken: 'Twój kod {name} to:' },
  pt: { text: 'Código do {name}: {code}. Não o partilhe.', spoken: 'O seu código do {name} é:' },
  ro: { text: 'Cod {name}: {code}. Nu îl da nimănui.', spoken: 'Codul tău {name} este:' },
  ru: { text: 'Код {name}: {code}. Никому его не сообщайте.', spoken: 'Ваш код {name}:' },
  sk: { text: '{name} kód: {code}. S nikým ho nezdieľajte.', spoken: 'Váš kód pre {name} je:' },
  sv: { text: '{name}-kod: {code}. Dela den inte med någon.', spoken: 'Din {name}-kod är:' },
  th: { text: 'รหัส {name}: {code} อย่าบอกใคร', spoken: 'รหัส {name} ของคุณคือ' },
  tr: { text: '{name} kodu: {code}. Kimseyle paylaşmayın.', spoken: '{name} kodunuz:' },
  uk: { text: 'Код {name}: {code}. Нікому його не кажіть.', spoken: 'Ваш код {name}:' },
  ur: { text: 'آپ کا {name} کوڈ: {code}. یہ کسی کو نہ بتائیں۔', spoken: 'آپ کا {name} کوڈ ہے:' },
  vi: { text: 'Mã {name}: {code}. Đừng cho ai biết.', spoken: 'Mã {name} của bạn là:' },
  zh: { text: '{name} 验证码：{code}。请勿告诉他人。', spoken: '您的 {name} 验证码是：' },
  'zh-Hant': { text: '{name} 驗證碼：{code}。請勿告訴他人。', spoken: '您的 {name} 驗證碼是：' },
} as const satisfies Readonly<Record<string, Words>>

export type Language = keyof typeof WORDS
export const LANGUAGES = Object.keys(WORDS) as Language[]

/** The language of ours that a client likes best; English if it likes none. */
export const ownLanguage = (wanted: readonly string[], among: readonly Language[] = LANGUAGES): Language =>
  languageOf(wanted, among) ?? 'en'

const filled = (words: string, name: string, code: string) =>
  words.replaceAll('{name}', () => name).replaceAll('{code}', () => code)

/** The text of a message. */
export const textFor = (language: Language, name: string, code: string): string =>
  filled(WORDS[language].text, name, code)

/** What a voice says before the digits. */
export const spokenFor = (language: Language, name: string): string =>
  filled(WORDS[language].spoken, name, '')
