// What becomes of avatars that nobody names any more (signal-api §2.14).
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { type Clock, systemClock } from '../../server/kit/clock.ts'
import { authorizationOf, Https } from '../client/https.ts'
import { fullProfile, ProfileKeys, profileBody } from '../client/profile-keys.ts'
import { type Registered, register } from '../client/register.ts'
import { Constellation } from '../constellation.ts'
import { FORM_TYPE, formBody, formFields } from '../files/post-form.ts'
import { within } from '../within.ts'

const HOUR_MS = 3_600_000
let aheadMs = 0
const hourly: (() => void)[] = []
const clock: Clock = {
  ...systemClock,
  nowMs: () => systemClock.nowMs() + aheadMs,
  every(ms, action) {
    if (ms === HOUR_MS) hourly.push(action)
    return systemClock.every(ms, action)
  },
}
function passAnHour(): void {
  aheadMs += HOUR_MS
  for (const action of hourly) action()
}

let server: Constellation
let https: Https
before(async () => {
  server = await Constellation.open({ clock })
  https = Https.open(server.ready, 1)
})
after(async () => {
  await https[Symbol.asyncDispose]()
  await server.close()
})

const statusOf = async (key: string) => (await https.call('GET', `/cdn0/${key}`)).status

/** Asks until it is so. */
async function gone(key: string, what: string): Promise<void> {
  let given = false
  const look = async () => {
    while (!given && (await statusOf(key)) !== 404);
  }
  await within(look(), what).finally(() => {
    given = true
  })
}

async function putProfile(
  owner: Registered,
  keys: ProfileKeys,
  fields: { avatar: boolean; sameAvatar: boolean },
) {
  const json = profileBody(keys, fullProfile(fields))
  const reply = await https.call('PUT', '/v1/profile', { headers: authorizationOf(owner), json })
  assert.equal(reply.status, 200)
  return reply.json
}

async function showAvatar(owner: Registered, keys: ProfileKeys): Promise<string> {
  const form = await putProfile(owner, keys, { avatar: true, sameAvatar: false })
  const body = formBody(formFields(form), randomBytes(1000))
  assert.equal((await https.call('POST', '/cdn0/', { headers: FORM_TYPE, body })).status, 204)
  assert.equal(await statusOf(form.key), 200)
  return form.key
}

test('an avatar that is replaced, cleared or left with its account goes within hours; the others stay', async () => {
  const owner = await register(server)
  const keys = new ProfileKeys(owner.aci)
  const first = await showAvatar(owner, keys)
  const second = await showAvatar(owner, keys)
  const other = await register(server)
  const kept = await showAvatar(other, new ProfileKeys(other.aci))
  passAnHour()
  await gone(first, 'the first avatar to go')
  assert.equal(await statusOf(second), 200)
  await putProfile(owner, keys, { avatar: false, sameAvatar: false })
  passAnHour()
  await gone(second, 'the second avatar to go')
  const third = await showAvatar(owner, keys)
  assert.equal(
    (await https.call('DELETE', '/v1/accounts/me', { headers: authorizationOf(owner) })).status,
    204,
  )
  passAnHour()
  await gone(third, 'the third avatar to go')
  assert.equal(await statusOf(kept), 200)
})
