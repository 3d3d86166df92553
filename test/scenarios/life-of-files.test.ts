// What becomes of files: who leaves takes theirs along, pictures are replaced, attachments expire, broken uploads go.
// What is there is read from the disk, not from what the server says.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { type Clock, systemClock } from '../../server/kit/clock.ts'
import { DAY_MS } from '../../server/kit/days.ts'
import { GroupClient } from '../client/group-client.ts'
import { GroupPerson } from '../client/group-person.ts'
import { authorizationOf, Https } from '../client/https.ts'
import { fullProfile, ProfileKeys, profileBody } from '../client/profile-keys.ts'
import { type Registered, register } from '../client/register.ts'
import { SignalClient } from '../client/signal-client.ts'
import { formOf, TusClient } from '../client/tus.ts'
import { Constellation } from '../constellation.ts'
import { FORM_TYPE, type FormLike, formBody, formFields } from '../files/post-form.ts'
import { within } from '../within.ts'

const HOUR_MS = 3_600_000
const BYTES = randomBytes(1000)

/** The host's clock, some time ahead; what falls due each hour does so when it is wound. */
function windable() {
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
  const wind = (ms: number) => {
    aheadMs += ms
    for (const action of hourly) action()
  }
  return { clock, wind }
}

async function namesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort()
}

/** As the disk has it: `attachments/ab/abcdef`. */
const pathOf = (key: string) => {
  const [kind = '', name = '', ...rest] = key.split('/')
  return [kind, name.slice(0, 2), name, ...rest].join('/')
}

test('files live as long as they should, and not longer', async () => {
  const { clock, wind } = windable()
  await using server = await Constellation.open({ clock })
  await using https = Https.open(server.ready, 2)
  await using ada = await SignalClient.create(server, { oneTimeKeys: 0 })
  const bob = await register(server)
  const files = join(dirname(server.ready.outbox), 'files')
  const left = async (what: string, keys: readonly string[]) => {
    const wanted = keys.map(pathOf).sort()
    let found: string[] = []
    const look = async () => {
      for (;;) {
        found = await namesBelow(join(files, 'objects'))
        if (String(found) === String(wanted) && (await readdir(join(files, 'uploads'))).length === 0) return
        await setTimeout(10)
      }
    }
    await within(look(), what, 8000).catch(() => assert.deepEqual(found, wanted, what))
  }

  const post = async (form: FormLike) => {
    const body = formBody(formFields(form), BYTES)
    assert.equal((await https.call('POST', '/cdn0/', { headers: FORM_TYPE, body })).status, 204)
    return form.key
  }
  const showAvatar = async (owner: Registered) => {
    const json = profileBody(new ProfileKeys(owner.aci), fullProfile({ avatar: true, sameAvatar: false }))
    return post((await https.call('PUT', '/v1/profile', { headers: authorizationOf(owner), json })).json)
  }
  const attach = async (part = BYTES.length) => {
    const form = formOf(await ada.link.auth.getUploadForm({ uploadSize: BigInt(BYTES.length) }))
    const tus = new TusClient(server.ready, 2, form)
    assert.equal((await tus.create({ 'upload-length': String(BYTES.length) })).status, 201)
    assert.equal((await tus.append(0, [BYTES.subarray(0, part)])).status, 204)
    return `attachments/${form.key}`
  }

  const attachment = await attach()
  await attach(500)
  const pack = await https.call('GET', '/v1/sticker/pack/form/1', { headers: authorizationOf(bob) })
  const stickers = [await post(pack.json.manifest), await post(pack.json.stickers[0])]
  const [first, second] = [await showAvatar(ada.account), await showAvatar(ada.account)]
  const bobs = await showAvatar(bob)
  const person = await GroupPerson.open(server.ready, https, bob)
  const group = new GroupClient(person, https)
  const picture = async () => {
    const form = await group.avatarForm()
    assert.ok(form.status === 200)
    return post(form.body)
  }
  const [replaced, named, unnamed] = [await picture(), await picture(), await picture()]
  await group.create('a title', [])
  await group.changeNow({ modifyAvatar: { avatar: replaced } })
  await group.changeNow({ modifyAvatar: { avatar: named } })
  const now = await namesBelow(join(files, 'objects'))
  const all = [attachment, ...stickers, first, second, bobs, replaced, named, unnamed]
  assert.deepEqual(now, all.map(pathOf).sort())
  assert.equal((await readdir(join(files, 'uploads'))).length, 2, 'the one that broke')

  await ada.disconnect()
  const deletion = await https.call('DELETE', '/v1/accounts/me', { headers: authorizationOf(ada.account) })
  assert.equal(deletion.status, 204)
  wind(2 * DAY_MS)
  await left('what is nobody’s to go, and broken uploads', [attachment, ...stickers, bobs, named])
  wind(43 * DAY_MS)
  await left('nothing more to go before its time', [attachment, ...stickers, bobs, named])
  wind(DAY_MS)
  await left('attachments to expire', [...stickers, bobs, named])
  wind(400 * DAY_MS)
  await left('what somebody names to stay, and stickers', [...stickers, bobs, named])
})
