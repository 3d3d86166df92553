// The law of `Sql`, on every engine.
import assert from 'node:assert/strict'
import { forEachEngine } from '../../../test/engines.ts'
import type { Sql, Statement } from './sql.ts'
import { StatementError, StorageError } from './storage-error.ts'

const TABLE =
  'CREATE TABLE letters (box TEXT NOT NULL, number BIGINT NOT NULL, body BYTEA, note TEXT, PRIMARY KEY (box, number))'
const INSERT = 'INSERT INTO letters (box, number, body, note) VALUES ($1, $2, $3, $4)'

const letter = (box: string, number: number, must?: number): Statement => ({
  sql: INSERT,
  args: [box, number, null, null],
  ...(must === undefined ? {} : { must }),
})

async function numbers(sql: Sql, box = 'a'): Promise<number[]> {
  const rows = await sql.read<{ number: number }>(
    'SELECT number FROM letters WHERE box = $1 ORDER BY number',
    [box],
  )
  return rows.map(({ number }) => number)
}

function forEach(name: string, run: (sql: Sql, reopen: () => Promise<Sql>) => Promise<void>): void {
  forEachEngine(name, async (open) => {
    const sql = await open()
    await sql.write([{ sql: TABLE, args: [] }])
    await run(sql, open)
  })
}

forEach('a list is applied as a whole and answered statement by statement', async (sql) => {
  const update = { sql: 'UPDATE letters SET note = $1 WHERE box = $2', args: ['read', 'a'] }
  const written = await sql.write([
    letter('a', 1),
    letter('a', 2),
    update,
    { ...update, args: ['read', 'b'] },
  ])
  assert.ok(written.ok)
  assert.deepEqual(
    written.outcomes.map(({ changes }) => changes),
    [1, 1, 2, 0],
  )
})

forEach('an empty list is kept and changes nothing', async (sql) => {
  assert.deepEqual(await sql.write([]), { ok: true, outcomes: [] })
})

forEach('nothing of a list is kept when a later statement is in error', async (sql) => {
  await sql.write([letter('a', 1)])
  const failing = sql.write([letter('a', 2), letter('a', 3), letter('a', 1)])
  await assert.rejects(failing, (error) => error instanceof StatementError && error.fault === 'unique')
  assert.deepEqual(await numbers(sql), [1])
})

forEach('a statement whose must does not hold undoes its whole list and is named', async (sql) => {
  const nobody = { sql: 'DELETE FROM letters WHERE box = $1', args: ['nobody'], must: 1 }
  assert.deepEqual(await sql.write([letter('a', 1, 1), nobody, letter('a', 2)]), { ok: false, unmet: 1 })
  assert.deepEqual(await sql.write([nobody]), { ok: false, unmet: 0 })
  assert.deepEqual(await numbers(sql), [])
})

forEach('a single statement that changes more rows than it must changes none', async (sql) => {
  await sql.write([letter('a', 1), letter('a', 2)])
  const both = { sql: 'DELETE FROM letters WHERE box = $1', args: ['a'], must: 1 }
  assert.deepEqual(await sql.write([both]), { ok: false, unmet: 0 })
  assert.deepEqual(await numbers(sql), [1, 2])
})

forEach('must counts the rows that a query finds', async (sql) => {
  const found = { sql: 'SELECT number FROM letters WHERE box = $1', args: ['a'], must: 1 }
  assert.deepEqual(await sql.write([found, letter('b', 1)]), { ok: false, unmet: 0 })
  await sql.write([letter('a', 7)])
  const written = await sql.write([found, letter('b', 1)])
  assert.deepEqual(written.ok && written.outcomes[0], { rows: [{ number: 7 }], changes: 1 })
})

forEach('must of nought means that nothing may change', async (sql) => {
  await sql.write([letter('a', 1)])
  const none = { sql: 'DELETE FROM letters WHERE box = $1', args: ['a'], must: 0 }
  assert.deepEqual(await sql.write([none]), { ok: false, unmet: 0 })
  assert.deepEqual(await numbers(sql), [1])
})

forEach('a failing list never undoes its neighbours in the same batch', async (sql) => {
  await sql.write([letter('a', 0)])
  const nobody = { sql: 'DELETE FROM letters WHERE box = $1', args: ['nobody'], must: 1 }
  const outcomes = await Promise.allSettled([
    sql.write([letter('a', 1)]),
    sql.write([letter('a', 0)]),
    sql.write([letter('a', 2), letter('a', 3)]),
    sql.write([letter('a', 4), letter('a', 0)]),
    sql.write([letter('a', 5), nobody]),
    sql.write([{ sql: 'NONSENSE', args: [] }]),
    sql.write([{ sql: INSERT, args: ['a', 6] }]),
    sql.write([letter('a', 7)]),
  ])
  const told = outcomes.map((outcome) =>
    outcome.status === 'fulfilled' ? outcome.value.ok : outcome.reason.name,
  )
  assert.deepEqual(told, [
    true,
    'StatementError',
    true,
    'StatementError',
    false,
    'StatementError',
    'StatementError',
    true,
  ])
  assert.deepEqual(await numbers(sql), [0, 1, 2, 3, 7])
})

forEach('lists take effect in the order of the calls, however many share a commit', async (sql) => {
  const append = {
    sql: "UPDATE letters SET note = note || $1 WHERE box = 'a' AND number = 1 RETURNING note",
    args: ['x'],
  }
  await sql.write([{ sql: INSERT, args: ['a', 1, null, ''] }])
  const words = Array.from({ length: 500 }, (_, at) => `${at} `)
  const all = await Promise.all(words.map((word) => sql.write([{ ...append, args: [word] }])))
  const last = all.at(-1)!
  assert.equal(last.ok && last.outcomes[0]!.rows[0]!.note, words.join(''))
})

forEach('a write that has resolved is seen by every read after it', async (sql) => {
  for (let number = 1; number <= 50; number++) {
    await sql.write([letter('a', number)])
    assert.equal((await numbers(sql)).length, number)
  }
})

forEach('RETURNING gives the rows, and their number is the number of changes', async (sql) => {
  await sql.write([letter('a', 1), letter('a', 2)])
  const take = { sql: 'DELETE FROM letters WHERE box = $1 RETURNING number AS taken, note', args: ['a'] }
  const first = await sql.write([take])
  assert.ok(first.ok)
  assert.equal(first.outcomes[0]!.changes, 2)
  const rows = first.outcomes[0]!.rows.toSorted((one, other) => Number(one.taken) - Number(other.taken))
  assert.deepEqual(rows, [
    { taken: 1, note: null },
    { taken: 2, note: null },
  ])
  assert.deepEqual(await sql.write([take]), { ok: true, outcomes: [{ rows: [], changes: 0 }] })
})

forEach('an insert that finds its row taken changes nothing and returns nothing', async (sql) => {
  const gently = {
    sql: `${INSERT} ON CONFLICT (box, number) DO NOTHING RETURNING number`,
    args: ['a', 1, null, null],
  }
  const [first, second] = await Promise.all([sql.write([gently]), sql.write([gently])])
  assert.deepEqual(first.ok && first.outcomes, [{ rows: [{ number: 1 }], changes: 1 }])
  assert.deepEqual(second.ok && second.outcomes, [{ rows: [], changes: 0 }])
})

forEach('bytes, text, nothing and large integers come back as they went in', async (sql) => {
  const all = Buffer.from(Array.from({ length: 256 }, (_, at) => at))
  const values = [
    [0, Buffer.alloc(0), ''],
    [-1, all, 'þ 你好 🙂 "quoted" \'it\' $1'],
    [Number.MAX_SAFE_INTEGER, Buffer.alloc(100_000, 7), 'x'.repeat(100_000)],
    [Number.MIN_SAFE_INTEGER, null, null],
    [2 ** 31, new Uint8Array([1, 2, 3]), 'a\nb'],
    [-(2 ** 32) - 1, new Uint8Array(all.buffer, all.byteOffset + 5, 9), '-0'],
  ] as const
  await Promise.all(
    values.map(([number, body, note]) => sql.write([{ sql: INSERT, args: ['a', number, body, note] }])),
  )
  for (const [number, body, note] of values) {
    const rows = await sql.read('SELECT body, note, number FROM letters WHERE box = $2 AND number = $1', [
      number,
      'a',
    ])
    assert.deepEqual(rows, [{ body: body && Buffer.from(body), note, number }])
    assert.ok(body === null || Buffer.isBuffer(rows[0]!.body))
  }
})

forEach('counts, sums and conditions are plain numbers', async (sql) => {
  await sql.write([letter('a', 1), letter('a', 2)])
  const query = 'SELECT COUNT(*) AS total, SUM(number) AS sum, MAX(number) > 1 AS above FROM letters'
  assert.deepEqual(await sql.read(query), [{ total: 2, sum: 3, above: 1 }])
})

forEach('parameters may repeat, come in any order, and mean nothing inside a string', async (sql) => {
  const query =
    "SELECT number, '$1' AS price FROM letters WHERE (box = $2 AND number = $1) OR (box = $2 AND number = $3)"
  await sql.write([letter('a', 1), letter('a', 2), letter('a', 3)])
  const rows = await sql.read(`${query} ORDER BY number -- $9`, [3, 'a', 1])
  assert.deepEqual(rows, [
    { number: 1, price: '$1' },
    { number: 3, price: '$1' },
  ])
})

forEach('arguments are taken when write is called', async (sql) => {
  const body = Buffer.from('before')
  const written = sql.write([{ sql: INSERT, args: ['a', 1, body, null] }])
  body.fill(0)
  await written
  assert.equal(String((await sql.read('SELECT body FROM letters'))[0]!.body), 'before')
})

forEach('arguments that are no SQL values are refused before anything is done', async (sql) => {
  for (const wrong of [undefined, true, 1n, Number.NaN, Infinity, {}, new Date(0)]) {
    const statement = { sql: INSERT, args: ['a', 2, null, wrong as unknown as string] }
    await assert.rejects(sql.write([letter('a', 1), statement]), TypeError)
    await assert.rejects(
      sql.read('SELECT note FROM letters WHERE note = $1', [wrong as unknown as string]),
      TypeError,
    )
  }
  await sql.write([letter('a', 3)])
  assert.deepEqual(await numbers(sql), [3])
})

forEach('several statements in one text are refused', async (sql) => {
  const both = { sql: "DELETE FROM letters; INSERT INTO letters (box, number) VALUES ('a;', 1)", args: [] }
  await assert.rejects(sql.write([both]), StatementError)
  await sql.write([
    { sql: "INSERT INTO letters (box, number, note) VALUES ('a', 1, ';;x') -- ; y", args: [] },
  ])
  assert.deepEqual(await numbers(sql), [1])
})

forEach('a query in error rejects alone', async (sql) => {
  await sql.write([letter('a', 1)])
  const wrong = sql.read('SELECT nothing FROM nowhere')
  const right = numbers(sql)
  await assert.rejects(wrong, StatementError)
  assert.deepEqual(await right, [1])
})

forEach('more statements than are kept prepared still work', async (sql) => {
  const texts = Array.from(
    { length: 1500 },
    (_, at) => `INSERT INTO letters (box, number) VALUES ('a', ${at})`,
  )
  await Promise.all(texts.map((text) => sql.write([{ sql: text, args: [] }])))
  await Promise.all(
    texts.map((_, at) => sql.read(`SELECT number FROM letters WHERE box = 'a' AND number = ${at}`)),
  )
  assert.equal((await numbers(sql)).length, 1500)
})

forEach('a statement that failed works again with other arguments', async (sql) => {
  const returning = (number: number) => ({
    sql: `${INSERT} RETURNING number`,
    args: ['a', number, null, null],
  })
  await sql.write([returning(1)])
  await assert.rejects(sql.write([returning(1)]), StatementError)
  await assert.rejects(sql.write([letter('a', 1)]), StatementError)
  const written = await Promise.all([sql.write([returning(2)]), sql.write([letter('a', 3)])])
  assert.deepEqual(
    written.map(({ ok }) => ok),
    [true, true],
  )
  assert.deepEqual(await numbers(sql), [1, 2, 3])
})

forEach('closing waits for what was handed in, and refuses the rest', async (sql, reopen) => {
  const writes = Array.from({ length: 300 }, (_, number) => sql.write([letter('a', number)]))
  const closed = sql.close()
  await assert.rejects(sql.write([letter('a', 999)]), StorageError)
  await assert.rejects(sql.read('SELECT 1'), StorageError)
  assert.ok((await Promise.all(writes)).every(({ ok }) => ok))
  await closed
  await sql.close()
  assert.equal((await numbers(await reopen())).length, 300)
})
