import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { openChatStorage } from '../../../test/chat-storage.ts'
import { forEachEngine } from '../../../test/engines.ts'
import { newAci } from '../../../test/sample-account.ts'
import { ReportStore } from './store.ts'

forEachEngine('an account’s reporters are counted once each, until they are too old', async (open) => {
  const store = new ReportStore(await openChatStorage(open))
  const [aci, other] = [newAci(), newAci()]
  const [one, two] = [randomBytes(32), randomBytes(32)]
  assert.equal(await store.add(aci, one, 100, 0), 1)
  assert.equal(await store.add(aci, one, 150, 0), 1)
  assert.equal(await store.add(aci, two, 100, 0), 2)
  assert.equal(await store.add(other, one, 100, 0), 1)
  assert.equal(await store.count(aci, 100), 1)
  await store.expire(100)
  assert.deepEqual([await store.count(aci, 0), await store.count(other, 0)], [1, 0])
  assert.equal(await store.count(aci, 150), 0)
})
