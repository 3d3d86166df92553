import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compareVersions, parseUserAgent, parseVersion } from './client-version.ts'

test('versions stand in the order of semver', () => {
  const inOrder = [
    '0.9.9',
    '1.0.0-1',
    '1.0.0-2',
    '1.0.0-10',
    '1.0.0-alpha',
    '1.0.0-alpha.1',
    '1.0.0-alpha.beta',
    '1.0.0-beta',
    '1.0.0-beta.2',
    '1.0.0-beta.11',
    '1.0.0',
    '1.0.0.1',
    '1.0.1',
    '1.2',
    '1.10.0',
    '7',
    '7.0.1',
  ].map((text) => parseVersion(text)!)
  for (const [index, version] of inOrder.entries())
    for (const [other, against] of inOrder.entries())
      assert.equal(Math.sign(compareVersions(version, against)), Math.sign(index - other))
})

test('what is left out of a version is zero, and what it was built of does not count', () => {
  const same = ['7.1', '7.1.0', '7.1.0.0', '7.1.0+build.5'].map((text) => parseVersion(text)!)
  for (const version of same) assert.equal(compareVersions(version, same[0]!), 0)
})

test('what is no version is not read as one', () => {
  for (const text of [
    '',
    'v1',
    '1.',
    '.1',
    '1..2',
    '1.2.3.4.5',
    '1.0.0-',
    '-1',
    '1e3',
    '1.0.0 ',
    '9'.repeat(10),
  ])
    assert.equal(parseVersion(text), undefined, text)
})

test('a client says its platform and its version, in whatever letters, with whatever behind it', () => {
  const version = { numbers: [7, 4, 0], preRelease: [] }
  const forms = {
    'Signal-Android/7.4.0': 'android',
    'Signal-iOS/7.4.0 iOS/17.1': 'ios',
    'Signal-Desktop/7.4.0 Linux 6.1 libsignal/0.103.0': 'desktop',
    'signal-ANDROID/7.4.0 ': 'android',
  }
  for (const [userAgent, platform] of Object.entries(forms))
    assert.deepEqual(parseUserAgent(userAgent), { platform, version }, userAgent)
})

test('another user agent is nobody we know', () => {
  const strange = [
    undefined,
    '',
    'curl/8.0',
    'Signal-Android',
    'Signal-Android/',
    'Signal-Android/x.y.z',
    'Signal-Web/1.0.0',
    ' Signal-Android/7.4.0',
    'XSignal-Android/7.4.0',
    `Signal-Android/7.4.0 ${'x'.repeat(600)}`,
  ]
  for (const userAgent of strange) assert.equal(parseUserAgent(userAgent), undefined, userAgent)
})
