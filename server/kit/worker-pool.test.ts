import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { getPriority } from 'node:os'
import { type TestContext, test } from 'node:test'
import type { TestData, TestFunctions } from '../../test/worker-functions.ts'
import { Refusal } from './refusal.ts'
import { WorkerPool, type WorkerPoolOptions } from './worker-pool.ts'

const module = new URL('../../test/worker-functions.ts', import.meta.url)

function openPool(t: TestContext, options: Partial<WorkerPoolOptions> & { data?: TestData } = {}) {
  const deaths: unknown[] = []
  const pool = new WorkerPool<TestFunctions>({
    module,
    data: { key: Uint8Array.of(1, 2, 3) },
    size: 2,
    onDeath: (cause) => deaths.push(cause),
    ...options,
  })
  t.after(() => pool.close())
  return { pool, deaths }
}

const newGate = () => new Int32Array(new SharedArrayBuffer(4))
function openGate(gate: Int32Array): void {
  Atomics.store(gate, 0, 1)
  Atomics.notify(gate, 0)
}

const unavailable = (error: unknown) => error instanceof Refusal && error.kind === 'unavailable'

test('a function is called by its name, in a thread that was given its data once', async (t) => {
  const { pool } = openPool(t)
  assert.equal(await pool.call('add', 2, 3), 5)
  assert.deepEqual(await pool.call('key'), Uint8Array.of(1, 2, 3))
})

test('what a function throws comes back with its message, and the thread goes on', async (t) => {
  const { pool, deaths } = openPool(t, { size: 1 })
  assert.equal(await pool.call('calls'), 1)
  await assert.rejects(pool.call('fail'), { message: 'it went wrong' })
  assert.equal(await pool.call('calls'), 2)
  assert.deepEqual(deaths, [])
})

test('threads start when they are needed, and are not more than the pool may have', async (t) => {
  const { pool } = openPool(t)
  assert.equal(pool.threads, 0)
  const gate = newGate()
  const first = pool.call('hold', gate)
  assert.equal(pool.threads, 1)
  const others = [pool.call('hold', gate), pool.call('hold', gate), pool.call('hold', gate)]
  assert.equal(pool.threads, 2)
  openGate(gate)
  assert.equal(new Set(await Promise.all([first, ...others])).size, 2)
})

test('a free thread is used again before another is started', async (t) => {
  const { pool } = openPool(t)
  for (let count = 1; count <= 3; count++) assert.equal(await pool.call('calls'), count)
  assert.equal(pool.threads, 1)
})

test('a call that would wait behind too many is refused, and those before it are answered', async (t) => {
  const { pool } = openPool(t, { size: 1, maxWaiting: 2 })
  const gate = newGate()
  const held = pool.call('hold', gate)
  const waiting = [pool.call('add', 1, 1), pool.call('add', 1, 2)]
  await assert.rejects(pool.call('add', 1, 3), unavailable)
  openGate(gate)
  await held
  assert.deepEqual(await Promise.all(waiting), [2, 3])
})

test('a thread that dies is replaced: its call is refused, those that wait are answered', async (t) => {
  const { pool, deaths } = openPool(t, { size: 1 })
  assert.equal(await pool.call('calls'), 1)
  const dying = assert.rejects(pool.call('die'), unavailable)
  const after = pool.call('calls')
  await dying
  assert.equal(await after, 1)
  assert.equal(deaths.length, 1)
})

test('a module that cannot start refuses every call and is not started again for those that wait', async (t) => {
  const { pool, deaths } = openPool(t, { size: 1, data: { key: Uint8Array.of(1), breaks: true } })
  const calls = [pool.call('add', 1, 1), pool.call('add', 1, 2), pool.call('add', 1, 3)]
  for (const call of calls) await assert.rejects(call, unavailable)
  assert.match(String(deaths), /^Error: it cannot start$/)
})

test('an argument that cannot be handed over fails its own call only', async (t) => {
  const { pool } = openPool(t, { size: 1 })
  await assert.rejects(pool.call('add', (() => 1) as unknown as number, 1), { name: 'DataCloneError' })
  assert.equal(await pool.call('add', 1, 1), 2)
})

test('closing refuses what waits and what comes, and ends the threads', async (t) => {
  const { pool, deaths } = openPool(t, { size: 1 })
  await pool.call('add', 1, 1)
  const gate = newGate()
  const pending = [pool.call('hold', gate), pool.call('add', 1, 1)].map((call) =>
    assert.rejects(call, unavailable),
  )
  await pool.close()
  await Promise.all(pending)
  await assert.rejects(pool.call('add', 1, 1), unavailable)
  assert.equal(pool.threads, 0)
  assert.deepEqual(deaths, [])
})

/** What a process says in which `use` is done with a pool, once it has ended by itself. */
function saidBy(use: string): string {
  const script = `
    import { WorkerPool } from ${JSON.stringify(new URL('./worker-pool.ts', import.meta.url).href)}
    const pool = new WorkerPool({ module: new URL(${JSON.stringify(module.href)}), data: {}, size: 1 })
    ${use}.then((told) => process.stdout.write(String(told)))`
  const ran = spawnSync(process.execPath, ['--input-type=module', '-e', script], { timeout: 30_000 })
  assert.equal(ran.status, 0)
  return ran.stdout.toString()
}

test('a pool keeps the process until its calls are answered, and no longer', () => {
  assert.equal(saidBy("pool.call('add', 20, 22)"), '42')
  assert.equal(saidBy("pool.call('add', () => 1, 1).catch((error) => error.name)"), 'DataCloneError')
})

test('its threads leave the processor to the others, where the system has priorities for threads', async (t) => {
  const { pool } = openPool(t)
  const own = getPriority()
  const expected = process.platform === 'linux' ? 19 : own
  assert.equal(await pool.call('priority'), expected)
  assert.equal(getPriority(), own)
})
