// Rules over the real file of secrets and a clock wound by hand: what an exchange of the upload keys leaves good, and
// for how long.
import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { checkPostedPolicy } from '../files/posted-policy.ts'
import { type Clock, ManualClock } from './clock.ts'
import { DAY_MS } from './days.ts'
import {
  PLAIN_LIFETIME_S,
  plainAddress,
  plainKey,
  plainKeysOf,
  verifyPlainAddress,
} from './plain-addresses.ts'
import { POST_POLICY_VALID_MS, type PostForm, PostPolicy } from './post-policy.ts'
import { openSecrets, type Secrets } from './secrets.ts'
import { rotateUploadKeys, UploadKeyRotation } from './upload-key-rotation.ts'
import {
  HANDOVER_MS,
  LONGEST_LIFETIME_MS,
  LOOK_EVERY_MS,
  UploadKeyRing,
  type UploadKeys,
} from './upload-keys.ts'
import { ADDRESS_LIFETIME_S, TOKEN_LIFETIME_S, UploadSignatures } from './upload-signatures.ts'

const MINUTE_MS = 60_000
/** What a signer on another host may be ahead. */
const SKEW_MS = 300_000

async function open(t: TestContext, clock = new ManualClock()) {
  const parent = await mkdtemp(join(tmpdir(), 'helio-rotation-'))
  const folder = join(parent, 'secrets')
  const rotations: UploadKeyRotation[] = []
  t.after(async () => {
    for (const one of rotations) await one.close()
    await rm(parent, { recursive: true })
  })
  const bugs: unknown[] = []
  const secrets = await openSecrets(folder)
  const process = async () => {
    const own = await openSecrets(folder)
    return follow(own)
  }
  const follow = (own: Secrets) => {
    const rotation = new UploadKeyRotation({
      ...{ folder, secrets: own, clock },
      onBug: (error) => bugs.push(error),
    })
    rotations.push(rotation)
    return { secrets: own, rotation, ...checks(own, clock) }
  }
  return { folder, clock, bugs, process, ...follow(secrets) }
}

/** Everything that can be signed, and whether it is good now. */
function checks(secrets: Pick<Secrets, 'uploads'>, clock: Clock) {
  const signatures = new UploadSignatures(secrets.uploads, clock)
  const policy = new PostPolicy(secrets.uploads, clock)
  const nowS = () => Math.floor(clock.nowMs() / 1000)
  const all = () => secrets.uploads.verifying(clock.nowMs())
  return {
    sign() {
      const current = secrets.uploads.signing(clock.nowMs())
      return {
        token: signatures.token({ audience: 'attachments', subject: 'a', maxBytes: 1 }),
        address: signatures.addressQuery({ method: 'PUT', path: '/attachments/a', maxBytes: 1 }),
        form: policy.formFor('profiles/a', { maxBytes: 1 }),
        plain: plainSigned(current, nowS() + PLAIN_LIFETIME_S),
      }
    },
    good({ token, address, form, plain }: Signed): string[] {
      const isGood = {
        token: signatures.verifyToken(token) !== undefined,
        address: signatures.verifyAddress('PUT', '/attachments/a', address) !== undefined,
        form: isGoodForm(form, secrets, clock),
        plain:
          verifyPlainAddress(plainKeysOf(all()), clock, { method: 'PUT', name: 'abcdefgh', query: plain }) !==
          undefined,
      }
      return Object.entries(isGood).flatMap(([kind, good]) => (good ? [kind] : []))
    },
  }
}
type Signed = { token: string; address: string; form: PostForm; plain: string }
const ALL = ['token', 'address', 'form', 'plain']

const plainSigned = ({ bearerKey }: UploadKeys, expiresAtS: number): string =>
  plainAddress(plainKey(bearerKey), { name: 'abcdefgh', maxBytes: 1, expiresAtS }).split('?')[1]!

function isGoodForm(form: PostForm, { uploads }: Pick<Secrets, 'uploads'>, clock: Clock): boolean {
  const { key, acl, policy, algorithm, credential, date, signature } = form
  const fields = { key, acl, policy, 'Content-Type': 'x', 'x-amz-algorithm': algorithm }
  const signed = { 'x-amz-credential': credential, 'x-amz-date': date, 'x-amz-signature': signature }
  try {
    checkPostedPolicy(new Map(Object.entries({ ...fields, ...signed })), uploads, clock)
    return true
  } catch {
    return false
  }
}

test('what was signed before an exchange of keys ends when it would have ended anyway, each kind at its time', async (t) => {
  const { clock, rotation, sign, good } = await open(t)
  const before = sign()
  await rotation.rotate()
  const lifetimes: [string, number][] = [
    ['form', POST_POLICY_VALID_MS],
    ['address', ADDRESS_LIFETIME_S * 1000],
    ['token', TOKEN_LIFETIME_S * 1000],
  ]
  let still = ALL
  let passedMs = 0
  for (const [kind, lifetimeMs] of lifetimes) {
    clock.advance(lifetimeMs - passedMs - 1000)
    assert.deepEqual(good(before), still, `a second before the end of each ${kind}`)
    clock.advance(1000)
    passedMs = lifetimeMs
    still = still.filter((one) => one !== kind && (kind !== 'token' || one !== 'plain'))
    assert.deepEqual(good(before), still, `at the end of each ${kind}`)
  }
  assert.deepEqual(still, [])
})

test('nothing new is signed with the old keys once the new ones are known everywhere, and access keys differ', async (t) => {
  const { clock, rotation, secrets, sign, good } = await open(t)
  const old = secrets.uploads.signing(clock.nowMs())
  assert.equal(await rotation.rotate(), clock.nowMs() + HANDOVER_MS)
  assert.deepEqual(secrets.uploads.signing(clock.nowMs()), {
    ...old,
    signsUntilMs: clock.nowMs() + HANDOVER_MS,
  })
  clock.advance(HANDOVER_MS - 1)
  const last = sign()
  clock.advance(1)
  const current = secrets.uploads.signing(clock.nowMs())
  assert.notDeepEqual(current.bearerKey, old.bearerKey)
  assert.notEqual(current.accessKeyId, old.accessKeyId)
  assert.notEqual(current.secretAccessKey, old.secretAccessKey)
  const next = sign()
  assert.ok(next.form.credential.startsWith(`${current.accessKeyId}/`))
  for (const signed of [last, next]) assert.deepEqual(good(signed), ALL)
})

test('who has an old key and signs with it later is not believed', async (t) => {
  const { clock, rotation, secrets, good } = await open(t)
  const stolen = UploadKeyRing.of(secrets.uploads.signing(clock.nowMs()))
  const forger = checks({ uploads: stolen }, clock)
  await rotation.rotate()
  clock.advance(HANDOVER_MS + SKEW_MS)
  assert.deepEqual(good(forger.sign()), ALL, 'as another host with its clock ahead may have signed')
  clock.advance(MINUTE_MS)
  assert.deepEqual(good(forger.sign()), [])
  clock.advance(DAY_MS)
  assert.deepEqual(good(forger.sign()), [])
})

test('the old keys are forgotten in memory and on disk when nothing of theirs can be good any more', async (t) => {
  const { clock, rotation, folder, secrets, bugs } = await open(t)
  const lifetimes = [POST_POLICY_VALID_MS, ADDRESS_LIFETIME_S * 1000, TOKEN_LIFETIME_S * 1000]
  for (const lifetimeMs of [...lifetimes, PLAIN_LIFETIME_S * 1000])
    assert.ok(lifetimeMs + SKEW_MS <= LONGEST_LIFETIME_MS)
  const old = secrets.uploads.signing(clock.nowMs())
  const onDisk = async () => (await readFile(join(folder, 'secrets.json'), 'utf8')).includes(old.accessKeyId)
  await rotation.rotate()
  clock.advance(HANDOVER_MS + LONGEST_LIFETIME_MS - 1)
  await rotation.look()
  assert.equal(secrets.uploads.verifying(clock.nowMs()).length, 2)
  assert.ok(await onDisk())
  clock.advance(1)
  assert.equal(secrets.uploads.verifying(clock.nowMs()).length, 1)
  await rotation.look()
  assert.ok(!(await onDisk()))
  assert.ok(!secrets.uploads.hasEnded(clock.nowMs()))
  assert.deepEqual(bugs, [])
})

test('keys that leaked are forgotten at once: nothing that they signed is good', async (t) => {
  const { clock, rotation, folder, secrets, sign, good } = await open(t)
  const before = sign()
  const { accessKeyId } = secrets.uploads.signing(clock.nowMs())
  assert.equal(await rotation.rotate({ forgetOld: true }), clock.nowMs())
  assert.deepEqual(good(before), [])
  assert.deepEqual(good(sign()), ALL)
  assert.ok(!(await readFile(join(folder, 'secrets.json'), 'utf8')).includes(accessKeyId))
})

test('several exchanges in a row each keep what was signed before', async (t) => {
  const { clock, rotation, sign, good } = await open(t)
  const signed = [sign()]
  for (let round = 0; round < 3; round++) {
    await rotation.rotate()
    signed.push(sign())
    clock.advance(MINUTE_MS)
    signed.push(sign())
  }
  for (const one of signed) assert.deepEqual(good(one), ALL)
})

test('a process that shares the secrets knows new keys before anybody signs with them', async (t) => {
  const { clock, rotation, process, sign } = await open(t)
  const other = await process()
  await rotation.rotate()
  clock.advance(LOOK_EVERY_MS)
  await other.rotation.look()
  assert.deepEqual(other.good(sign()), ALL)
  clock.advance(HANDOVER_MS - LOOK_EVERY_MS)
  assert.deepEqual(other.good(sign()), ALL, 'signed with the new ones')
  assert.ok(2 * LOOK_EVERY_MS < HANDOVER_MS, 'a look may be late')
})

test('a crash after the new keys are on disk changes nothing: who starts again has them and the old', async (t) => {
  const { clock, folder, sign, process } = await open(t)
  const before = sign()
  // Written, and the process ends before it uses them.
  const { keys } = await rotateUploadKeys(folder, clock.nowMs())
  const restarted = await process()
  assert.deepEqual(restarted.secrets.uploads.verifying(clock.nowMs()), keys.verifying(clock.nowMs()))
  assert.deepEqual(restarted.good(before), ALL)
  clock.advance(HANDOVER_MS)
  assert.deepEqual(restarted.good(restarted.sign()), ALL)
})

test('exchanges at once, by several processes, lose no keys; a lock that a crash left holds nobody for long', async (t) => {
  const { clock, folder, process, sign, good, rotation } = await open(t)
  const before = sign()
  const lock = join(folder, '.secrets.json.lock')
  await writeFile(lock, '')
  const longAgo = Date.now() / 1000 - 60
  await utimes(lock, longAgo, longAgo)
  const others = await Promise.all([process(), process(), process()])
  await Promise.all(others.map((other) => other.rotation.rotate()))
  await rotation.look()
  assert.deepEqual(good(before), ALL)
  clock.advance(HANDOVER_MS)
  for (const other of others) assert.deepEqual(good(other.sign()), ALL)
  assert.deepEqual(await readdir(folder), ['secrets.json'])
})

test('a file from before there were exchanges loads, and one that is damaged leaves the keys in force', async (t) => {
  const { clock, folder, sign, good, rotation, process } = await open(t)
  const before = sign()
  const path = join(folder, 'secrets.json')
  const file = JSON.parse(await readFile(path, 'utf8'))
  delete file.uploads.previous
  await writeFile(path, JSON.stringify(file))
  const older = await process()
  assert.deepEqual(older.good(before), ALL)
  await older.rotation.rotate()
  assert.deepEqual(older.good(before), ALL)
  await writeFile(path, '{}')
  await assert.rejects(rotation.look(), { name: 'SecretsError' })
  await assert.rejects(rotation.rotate(), { name: 'SecretsError' })
  assert.deepEqual(good(sign()), ALL)
  assert.equal(await readFile(path, 'utf8'), '{}')
  clock.advance(1)
})
