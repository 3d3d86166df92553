import assert from 'node:assert/strict'
import { openChatStorage } from '../../../test/chat-storage.ts'
import { forEachEngine, type OpenEngine } from '../../../test/engines.ts'
import { sampleAccount } from '../../../test/sample-account.ts'
import { MemoryBus } from '../../kit/bus.ts'
import { AccountCache } from './account-cache.ts'
import { AccountStore } from './store.ts'

async function openCache(open: OpenEngine) {
  const sql = await openChatStorage(open)
  const store = new AccountStore(sql)
  const account = sampleAccount()
  await sql.write(store.creation(account))
  return { sql, store, account, cache: new AccountCache(store, new MemoryBus()) }
}

forEachEngine(
  'whoever asks while an account is being read gets that reading, in the order of asking',
  async (open) => {
    const { cache, account } = await openCache(open)
    const order: number[] = []
    const ask = async (index: number) => {
      const found = cache.peek(account.aci) ?? (await cache.get(account.aci))
      order.push(index)
      return found
    }
    const asked = [0, 1, 2].map(ask)
    // What is in memory now serves only those who come after the others were served.
    const later = asked[0]!.then(() => ask(3))
    const found = await Promise.all([...asked, later])
    assert.equal(new Set(found).size, 1)
    assert.deepEqual(order, [0, 1, 2, 3])
  },
)

forEachEngine('a phone number’s identity leads to the account, asked once or twice', async (open) => {
  const { cache, account } = await openCache(open)
  const [first, second] = await Promise.all([cache.get(account.pni), cache.get(account.pni)])
  assert.equal(first?.aci, account.aci)
  assert.equal(first, second)
  assert.equal(await cache.get(account.pni), first)
})

forEachEngine('whoever asks after a change does not get a reading from before it', async (open) => {
  const { sql, store, cache, account } = await openCache(open)
  const before = cache.get(account.aci)
  const changed = { ...account, version: 2, discoverableByPhoneNumber: false }
  await sql.write(store.replacement(changed))
  cache.changed(changed)
  const after = await cache.get(account.aci)
  assert.equal(after?.version, 2)
  await before
  assert.equal((await cache.get(account.aci))?.version, 2)
})
