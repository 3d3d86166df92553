// PostgreSQL refuses texts that SQLite keeps: no text of a client may reach it that it would choke on.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { allRoutes } from '../../wire/routes.ts'
import { sharedPostgres } from '../postgres.ts'
import { type Example, exampleOf } from './examples.ts'
import { fieldsOf, withField } from './fields.ts'
import { Fuzzer } from './fuzzer.ts'

const TEXTS = ['a\0b', '\0', '\ud800', '𝕳\uffff']

test('a NUL or half a surrogate in any text is answered by the contract on PostgreSQL too', async (t) => {
  const cluster = await sharedPostgres()
  if (!cluster) return t.skip('PostgreSQL is not installed')
  const url = await cluster.freshDatabase()
  const fuzzer = await Fuzzer.open({ storage: { engine: 'postgres', url } })
  t.after(() => fuzzer.close())
  for (const named of allRoutes()) {
    const from = await fuzzer.freshCast()
    const example = exampleOf(named, from)
    const inBody = fieldsOf(named.route).flatMap((path) =>
      TEXTS.map((text) => ({ example: { ...example, body: withField(example.body, path, text) } })),
    )
    const elsewhere = (['params', 'query', 'headers'] as const).flatMap((part) =>
      Object.keys(example[part]).flatMap((key) =>
        TEXTS.map((text) => ({
          example: { ...example, [part]: { ...example[part], [key]: text } } as Example,
          strayed: part === 'params',
        })),
      ),
    )
    const anyText = fuzzer.doors.all.filter((door) => door.anyText)
    assert.deepEqual(await fuzzer.run(named, [...inBody, ...elsewhere], from), [], named.name)
    assert.deepEqual(await fuzzer.run(named, elsewhere, from, { doors: anyText }), [], named.name)
  }
  await fuzzer.assertWell()
})
