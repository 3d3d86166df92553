import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sameSecret } from './constant-time.ts'

test('secrets are the same to the last byte or they are not, and other lengths are no error', () => {
  assert.equal(sameSecret('secret', 'secret'), true)
  assert.equal(sameSecret('secret', Buffer.from('secret')), true)
  assert.equal(sameSecret(new Uint8Array(0), ''), true)
  for (const other of ['secreT', 'secre', 'secrets', '', 'sécret'])
    assert.equal(sameSecret('secret', other), false)
})
