import assert from 'node:assert/strict'
import { test } from 'node:test'
import { relayCredentials, relaySecretText } from './relay-credentials.ts'

const secret = Buffer.from(Array.from({ length: 32 }, (_, at) => at))

test('the password is what coturn makes of the same secret and username', () => {
  // echo -n USERNAME | openssl dgst -sha1 -hmac SECRET -binary | base64
  assert.deepEqual(relayCredentials(secret, 1_767_225_600, '0123456789abcdef'), {
    username: '1767225600:0123456789abcdef',
    password: 'u/i78VFhZGOaSDtB7JHIHemyNMs=',
  })
})

test("the secret is text that fits a line of coturn's configuration", () => {
  assert.match(relaySecretText(secret), /^[0-9a-f]{64}$/)
})
