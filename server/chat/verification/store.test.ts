import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { openChatStorage } from '../../../test/chat-storage.ts'
import { forEachEngine, type OpenEngine } from '../../../test/engines.ts'
import { plain } from '../../../test/plain.ts'
import { newNumber } from '../../../test/sample-account.ts'
import { type NewCode, VerificationStore } from './store.ts'

const NOW_MS = 1_800_000_000_000
const LIFETIME_MS = 600_000

async function openStore(open: OpenEngine) {
  const sql = await openChatStorage(open)
  const store = new VerificationStore(sql)
  const read = async (id: string, nowMs = NOW_MS) => (await store.read(id, nowMs))!
  const openSession = async (expiresAtMs = NOW_MS + LIFETIME_MS) => {
    const id = randomUUID()
    await store.open({ id, e164: newNumber(), expiresAtMs, wantsCaptcha: false }, NOW_MS)
    return id
  }
  return { sql, store, read, openSession }
}

const newCode = (fields: Partial<NewCode> = {}): NewCode => ({
  digest: randomBytes(32),
  sentAtMs: NOW_MS,
  expiresAtMs: NOW_MS + LIFETIME_MS,
  attempts: 5,
  delivery: randomUUID(),
  ...fields,
})

forEachEngine('a new session has no code, and is there until it expires', async (open) => {
  const { store } = await openStore(open)
  const e164 = newNumber()
  await store.open({ id: 'id', e164, expiresAtMs: NOW_MS + 10, wantsCaptcha: false }, NOW_MS)
  const never = { count: 0, lastAtMs: 0 }
  const expected = {
    id: 'id',
    e164,
    expiresAtMs: NOW_MS + 10,
    sent: { sms: never, voice: never },
    codeTransport: '',
    codeSentAtMs: 0,
    codeExpiresAtMs: 0,
    attemptsLeft: 0,
    verified: false,
    sender: '',
    senderCheck: '',
    failedSender: '',
    wantsCaptcha: false,
    wantsPush: false,
  }
  assert.deepEqual(plain(await store.read('id', NOW_MS + 9)), expected)
  assert.equal(await store.read('id', NOW_MS + 10), undefined)
  assert.equal(await store.read('other', NOW_MS), undefined)
})

forEachEngine(
  'a code is noted with the way it went, and the session lives as long as it does',
  async (open) => {
    const { store, read, openSession } = await openStore(open)
    const id = await openSession()
    const code = newCode({ sentAtMs: NOW_MS + 1, expiresAtMs: NOW_MS + 2 * LIFETIME_MS })
    assert.equal(await store.noteCode(await read(id), 'voice', code), 'noted')
    const session = await read(id)
    assert.deepEqual(session.sent, {
      sms: { count: 0, lastAtMs: 0 },
      voice: { count: 1, lastAtMs: NOW_MS + 1 },
    })
    assert.deepEqual(plain(session.codeDigest), plain(code.digest))
    assert.deepEqual([session.attemptsLeft, session.expiresAtMs], [5, NOW_MS + 2 * LIFETIME_MS])
  },
)

forEachEngine('of codes noted at once one counts, whichever way they went', async (open) => {
  const { store, read, openSession } = await openStore(open)
  const id = await openSession()
  const session = await read(id)
  const noted = await Promise.all(
    Array.from({ length: 30 }, (_, index) =>
      store.noteCode(session, index % 2 === 0 ? 'sms' : 'voice', newCode()),
    ),
  )
  assert.equal(noted.filter((kind) => kind === 'noted').length, 1)
  const { sent } = await read(id)
  assert.equal(sent.sms.count + sent.voice.count, 1)
})

forEachEngine('no more attempts are spent than there are, however many come at once', async (open) => {
  const { store, read, openSession } = await openStore(open)
  const id = await openSession()
  assert.equal(await store.spendAttempt(id, NOW_MS), false)
  await store.noteCode(await read(id), 'sms', newCode())
  const spent = await Promise.all(Array.from({ length: 50 }, () => store.spendAttempt(id, NOW_MS)))
  assert.equal(spent.filter(Boolean).length, 5)
  assert.equal((await read(id)).attemptsLeft, 0)
  assert.equal(await store.spendAttempt(id, NOW_MS), false)
})

forEachEngine('nothing is spent on a code that is over, nor on a verified session', async (open) => {
  const { store, read, openSession } = await openStore(open)
  const id = await openSession()
  await store.noteCode(await read(id), 'sms', newCode({ expiresAtMs: NOW_MS + 10 }))
  assert.equal(await store.spendAttempt(id, NOW_MS + 10), false)
  assert.equal(await store.spendAttempt(id, NOW_MS + 9), true)
  await store.verify(id, NOW_MS + LIFETIME_MS)
  assert.equal(await store.spendAttempt(id, NOW_MS), false)
})

forEachEngine('a verified session has no code any more, and takes no other', async (open) => {
  const { store, read, openSession } = await openStore(open)
  const id = await openSession()
  await store.noteCode(await read(id), 'sms', newCode())
  const before = await read(id)
  await store.verify(id, NOW_MS + 2 * LIFETIME_MS)
  const session = await read(id, NOW_MS + LIFETIME_MS)
  assert.deepEqual([session.verified, session.codeDigest], [true, undefined])
  assert.equal(await store.noteCode(before, 'voice', newCode()), 'overtaken')
  assert.equal((await read(id)).codeDigest, undefined)
})

forEachEngine('a verified session is used up once; one that is not verified, never', async (open) => {
  const { sql, store, openSession } = await openStore(open)
  const [id, pending] = [await openSession(), await openSession()]
  assert.deepEqual(await sql.write([store.consumption(pending)]), { ok: false, unmet: 0 })
  assert.ok(await store.read(pending, NOW_MS))
  await store.verify(id, NOW_MS + LIFETIME_MS)
  const used = await Promise.all(Array.from({ length: 20 }, () => sql.write([store.consumption(id)])))
  assert.equal(used.filter(({ ok }) => ok).length, 1)
  assert.equal(await store.read(id, NOW_MS), undefined)
})

forEachEngine('sessions that are over are swept out as new ones come, ten at a time', async (open) => {
  const { sql, openSession } = await openStore(open)
  for (let index = 0; index < 12; index++) await openSession(NOW_MS)
  const kept = await openSession()
  const ids = async () =>
    (await sql.read('SELECT id FROM verification_sessions WHERE expires_at_ms > $1', [0])).map(
      (row) => row['id'],
    )
  assert.ok((await ids()).length <= 2)
  assert.ok((await ids()).includes(kept))
})

forEachEngine('who sent the newest code is noted, and forgotten with the next code', async (open) => {
  const { store, read, openSession } = await openStore(open)
  const id = await openSession()
  const old = newCode()
  await store.noteCode(await read(id), 'sms', old)
  await store.noteSender(old.delivery, 'one', 'VE1')
  const { sender, senderCheck, failedSender } = await read(id)
  assert.deepEqual([sender, senderCheck, failedSender], ['one', 'VE1', ''])
  await store.noteCode(await read(id), 'sms', newCode())
  await store.noteSender(old.delivery, 'one', 'VE1')
  const session = await read(id)
  assert.deepEqual([session.sender, session.senderCheck], ['', ''])
})

forEachEngine(
  'a failure is of the newest code only, of its transport, and not of a verified session',
  async (open) => {
    const { store, read, openSession } = await openStore(open)
    const [id, other] = [await openSession(), await openSession()]
    const [old, code] = [newCode(), newCode()]
    await store.noteCode(await read(id), 'voice', old)
    await store.noteCode(await read(id), 'sms', code)
    await store.noteCode(await read(other), 'sms', newCode())
    await store.noteFailure(old.delivery, 'voice', 'one')
    assert.deepEqual([(await read(id)).sent.voice.lastAtMs, (await read(id)).failedSender], [NOW_MS, ''])
    await store.noteFailure(code.delivery, 'sms', 'one')
    const { sent, failedSender } = await read(id)
    assert.deepEqual(
      [sent.sms, sent.voice.lastAtMs, failedSender],
      [{ count: 1, lastAtMs: 0 }, NOW_MS, 'one'],
    )
    assert.deepEqual([(await read(other)).sent.sms.lastAtMs, (await read(other)).failedSender], [NOW_MS, ''])
    await store.verify(id, NOW_MS + LIFETIME_MS)
    await store.noteFailure(code.delivery, 'sms', 'two')
    assert.equal((await read(id)).failedSender, 'one')
  },
)
