import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { openChatStorage } from '../../../test/chat-storage.ts'
import { forEachEngine } from '../../../test/engines.ts'
import { newAci } from '../../../test/sample-account.ts'
import { PushChallengeStore } from './store.ts'

forEachEngine('a challenge is kept until it is taken or too old, one for each account', async (open) => {
  const store = new PushChallengeStore(await openChatStorage(open))
  const [aci, other] = [newAci(), newAci()]
  const [first, second] = [randomBytes(32), randomBytes(32)]
  assert.equal(await store.add(aci, first, 100, 0), true)
  assert.equal(await store.add(aci, second, 200, 99), false)
  assert.equal(await store.add(other, second, 100, 0), true)
  assert.equal(await store.take(aci, second, 50), false)
  assert.equal(await store.take(other, first, 50), false)
  assert.equal(await store.take(aci, first, 100), false)
  assert.equal(await store.add(aci, second, 200, 100), true)
  const taken = await Promise.all([store.take(aci, second, 150), store.take(aci, second, 150)])
  assert.deepEqual(taken.toSorted(), [false, true])
  await store.expire(100)
  assert.equal(await store.take(other, second, 0), false)
})
