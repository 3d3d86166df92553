import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Configuration } from './configuration.ts'

const configuration = new Configuration({ 'global.one': 'yes', 'global.two': 'no' })
const { etag } = configuration

test('a client that names the tag in any form of RFC 9110 is up to date', () => {
  const forms = [`"${etag}"`, `W/"${etag}"`, etag, `"old", "${etag}"`, `W/"old",W/"${etag}"`, ` "${etag}" `]
  for (const form of forms) assert.equal(configuration.matches(form), true, form)
})

test('a client that names another tag, or none, is not up to date', () => {
  const forms = [undefined, '', '""', 'W/""', '"old"', `"${etag}x"`, `"${etag.slice(1)}"`, `"${etag}" "x"`]
  for (const form of forms) assert.equal(configuration.matches(form), false, form)
})

test('a client that takes whatever there is, is up to date', () => {
  assert.equal(configuration.matches('*'), true)
})

test('the tag is that of the values: the same for the same, another for others', () => {
  assert.equal(new Configuration(configuration.values).etag, etag)
  assert.notEqual(new Configuration({ 'global.one': 'yes' }).etag, etag)
  assert.notEqual(new Configuration({ 'global.one': 'yes', 'global.two': 'yes' }).etag, etag)
})
