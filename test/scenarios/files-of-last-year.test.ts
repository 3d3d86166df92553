// Files and avatars of a client of last year (signal-cli 0.13.19), by CDN 2 and CDN 0.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import * as LS from '@signalapp/libsignal-client'
import { LastYear } from '../client/last-year.ts'
import { fullProfile, ProfileKeys, profileBody } from '../client/profile-keys.ts'
import { expectStatus } from '../client/rest.ts'
import { Constellation } from '../constellation.ts'

let server: Constellation
let boris: LastYear
let ada: LastYear
before(async () => {
  server = await Constellation.open({ config: { attachments: { cdn: 2 } } })
  boris = new LastYear(server)
  ada = new LastYear(server)
  await Promise.all([boris.register(), ada.register()])
})
after(async () => {
  await boris?.[Symbol.asyncDispose]()
  await ada?.[Symbol.asyncDispose]()
  await server.close()
})

test('a file is uploaded, its key is told in a message, and the other one downloads the same bytes', async () => {
  for (const bytes of [1, 65_535, 65_537, 3_000_000]) {
    const content = randomBytes(bytes)
    const key = await boris.upload(content)
    await boris.send({ aci: ada.aci }, key)
    const told = await ada.told.next()
    const file = await ada.download(2, `attachments/${told.text}`)
    expectStatus(200, file)
    assert.equal(file.headers['content-type'], 'application/octet-stream')
    assert.equal(file.headers['x-content-type-options'], 'nosniff')
    assert.ok(file.body.equals(content))
  }
})

test('an avatar is posted by the form of the profile, and whoever reads the profile reads it', async () => {
  const keys = new ProfileKeys(LS.Aci.parseFromServiceIdString(boris.aci))
  const profile = fullProfile({ avatar: true, sameAvatar: false })
  const written = await boris.ask('PUT', '/v1/profile', profileBody(keys, profile))
  expectStatus(200, written)
  const avatar = randomBytes(50_000)
  assert.equal((await boris.postAvatar(written.json, avatar)).status, 204)
  const shown = await ada.ask('GET', `/v1/profile/${boris.aci}/${keys.version}`)
  expectStatus(200, shown)
  assert.equal(shown.json.avatar, written.json.key)
  const read = await ada.download(0, shown.json.avatar)
  expectStatus(200, read)
  assert.ok(read.body.equals(avatar))
  assert.equal((await boris.postAvatar(written.json, randomBytes(9))).status, 412, 'nothing is overwritten')
})
