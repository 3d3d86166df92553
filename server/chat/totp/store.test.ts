import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { openChatStorage } from '../../../test/chat-storage.ts'
import { forEachEngine } from '../../../test/engines.ts'
import { plain } from '../../../test/plain.ts'
import { newAci } from '../../../test/sample-account.ts'
import { TotpStore } from './store.ts'

const keyOf = (id: number) => ({ id, secret: randomBytes(32), metadata: randomBytes(160), lastStep: 10 })

forEachEngine('keys come back as they were, described and removed one by one', async (open) => {
  const store = new TotpStore(await openChatStorage(open))
  const [mine, yours] = [newAci(), newAci()]
  const [first, second, other] = [keyOf(0), keyOf(1), keyOf(0)]
  await store.write([store.add(mine, first), store.add(yours, other), store.add(mine, second)])
  assert.deepEqual(plain(await store.keys(mine)), plain([first, second]))
  const metadata = randomBytes(160)
  await store.write([store.describe(mine, 1, metadata), store.remove(mine, 0)])
  assert.deepEqual(plain(await store.keys(mine)), plain([{ ...second, metadata }]))
  await store.write(store.clear(mine))
  assert.deepEqual([await store.keys(mine), plain(await store.keys(yours))], [[], plain([other])])
})

forEachEngine('a step is accepted once, however many ask at once, and none before it', async (open) => {
  const store = new TotpStore(await openChatStorage(open))
  const aci = newAci()
  await store.write([store.add(aci, keyOf(0))])
  const accept = (step: number) => store.write([store.accept(aci, 0, step)])
  assert.equal(await accept(10), false)
  const accepted = await Promise.all([accept(12), accept(12), accept(12)])
  assert.deepEqual(accepted.filter(Boolean), [true])
  assert.equal(await accept(11), false)
  assert.equal(await accept(13), true)
})

forEachEngine('an account has one key that waits', async (open) => {
  const store = new TotpStore(await openChatStorage(open))
  const aci = newAci()
  assert.equal(await store.pending(aci), undefined)
  for (const createdAtMs of [1, 2]) {
    const pending = { secret: randomBytes(32), createdAtMs }
    await store.write([store.setPending(aci, pending)])
    assert.deepEqual(plain(await store.pending(aci)), plain(pending))
  }
  await store.write([store.clearPending(aci)])
  assert.equal(await store.pending(aci), undefined)
})
