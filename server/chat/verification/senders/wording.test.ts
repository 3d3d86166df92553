// What people read and hear. That a translation is good no test can tell; that it can be sent, said and read, these do.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CODE, codeRequest } from '../../../../test/code-request.ts'
import { languageOf } from './language.ts'
import { smsText } from './sms-text.ts'
import { SPOKEN, speechFor } from './voice.ts'
import { LANGUAGES, ownLanguage, spokenFor, textFor } from './wording.ts'

/** GSM 03.38's basic alphabet: 160 of these fit a message, of any others 70 UTF-16 units. */
const GSM = /^[@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !"#¤%&'()*+,\-./0-9:;<=>?¡A-ZÄÖÑÜ§¿a-zäöñüà]*$/
const fitsOneMessage = (text: string) => text.length <= (GSM.test(text) ? 160 : 70)

test('a message in any language fits one SMS, with the longest name and the hash of an app', () => {
  for (const language of LANGUAGES) {
    const names = { serviceName: 'Heliograph', androidAppHash: 'doDiFGKPO1r' }
    const text = smsText(codeRequest({ languages: [language], client: 'android' }), names)
    assert.ok(fitsOneMessage(text), `${language}: ${text.length} ${text}`)
  }
})

test('a client that looks for the first digits of a message finds the code', () => {
  for (const language of LANGUAGES) {
    const digits = /\p{Nd}{3}-?\p{Nd}{3}/u.exec(textFor(language, 'Heliograph', CODE))
    assert.equal(digits?.[0], CODE, language)
    assert.ok(!/\p{Nd}/u.test(spokenFor(language, 'Heliograph')), language)
  }
})

test('a name is put in as it is, whatever signs it has', () => {
  assert.equal(textFor('en', '$& {code}', CODE), `$& ${CODE} code: ${CODE}. Do not share it with anyone.`)
})

test('languages from right to left are among those that we write', () => {
  for (const language of ['ar', 'fa', 'he', 'ur'] as const)
    assert.match(textFor(language, 'X', CODE), /^[\p{Script=Arabic}\p{Script=Hebrew}]/u, language)
})

test('a client gets the first of its languages that we write, and English where we write none', () => {
  const got = (...wanted: string[]) => ownLanguage(wanted)
  assert.deepEqual([got('de-CH'), got('tlh', 'sv-FI'), got('tlh'), got()], ['de', 'sv', 'en', 'en'])
  assert.deepEqual([got('iw-IL'), got('in'), got('no'), got('nn-NO')], ['he', 'id', 'nb', 'nb'])
  assert.deepEqual([got('zh'), got('zh-CN'), got('zh-Hans-HK'), got('cmn-Hans')], Array(4).fill('zh'))
  const traditional = ['zh-TW', 'zh-HK', 'zh-Hant', 'zh-Hant-MO', 'yue', 'yue-HK']
  assert.deepEqual(
    traditional.map((tag) => got(tag)),
    Array(6).fill('zh-Hant'),
  )
  assert.deepEqual(
    [got('PT-br'), got('en-GB-oxendict'), got('x'.repeat(300)), got('__proto__')],
    ['pt', 'en', 'en', 'en'],
  )
})

test('the nearest region of a language is found', () => {
  assert.equal(languageOf(['fr-CA'], ['fr-FR', 'fr-CA']), 'fr-CA')
  assert.equal(languageOf(['de-DE-1996'], ['de-DE']), 'de-DE')
  assert.equal(languageOf(['it'], ['fr-FR']), undefined)
})

test('a call is in the language that can be said, of those that the client wants', () => {
  const tagOf = (...wanted: string[]) => speechFor(wanted, 'X').language
  assert.deepEqual(
    [tagOf('pt-BR'), tagOf('pt'), tagOf('es-419'), tagOf('en-GB')],
    ['pt-BR', 'pt-PT', 'es-ES', 'en-GB'],
  )
  assert.deepEqual(
    [tagOf('fa', 'ar'), tagOf('fa'), tagOf('zh-HK'), tagOf('zh-TW')],
    ['ar-XA', 'en-US', 'zh-HK', 'zh-TW'],
  )
  for (const language of SPOKEN) assert.equal(speechFor([language], 'X').words, spokenFor(language, 'X'))
})
