import assert from 'node:assert/strict'
import { openChatStorage } from '../../../test/chat-storage.ts'
import { forEachEngine } from '../../../test/engines.ts'
import { newPni } from '../../../test/sample-account.ts'
import { RecoveryStore } from './store.ts'

const ONE = { salt: 's1', hash: 'h1' }
const OTHER = { salt: 's2', hash: 'h2' }

forEachEngine('a number has one password, the last, until it expires or is forgotten', async (open) => {
  const sql = await openChatStorage(open)
  const store = new RecoveryStore(sql)
  const [mine, yours] = [newPni(), newPni()]
  await store.write([store.setting(mine, ONE, 100), store.setting(yours, ONE, 300)])
  await store.write([store.setting(mine, OTHER, 200)])
  assert.deepEqual(await store.read(mine, 199), OTHER)
  assert.equal(await store.read(mine, 200), undefined)
  await store.expire(200)
  assert.deepEqual(await sql.read('SELECT hash FROM recovery_passwords'), [{ hash: 'h1' }])
  await store.write([store.forgetting(yours)])
  assert.deepEqual(await sql.read('SELECT * FROM recovery_passwords'), [])
})

forEachEngine('a proof stands as long as the password is the same', async (open) => {
  const sql = await openChatStorage(open)
  const store = new RecoveryStore(sql)
  const pni = newPni()
  const stands = async () => (await sql.write([store.standing(pni, ONE)])).ok
  assert.equal(await stands(), false)
  await store.write([store.setting(pni, ONE, 100)])
  assert.equal(await stands(), true)
  assert.equal(await stands(), true)
  await store.write([store.setting(pni, OTHER, 100)])
  assert.equal(await stands(), false)
})
