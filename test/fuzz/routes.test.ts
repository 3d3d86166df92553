// Every field of every route meets what no client should send, through every door (cases A2, P2, I1). The cases come from
// the route table: a new route is here by itself. FUZZ_RUNS makes it longer, FUZZ_SEED repeats a run.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { allRoutes, type NamedRoute } from '../../wire/routes.ts'
import { MAX_FRAME_BYTES } from '../../wire/websocket.ts'
import { register } from '../client/register.ts'
import { credentialsFor, type Example, exampleOf } from './examples.ts'
import { isFatal } from './fatal.ts'
import { fieldsOf, type Path, withField } from './fields.ts'
import { Fuzzer } from './fuzzer.ts'
import { CONTENT_TYPES, HOSTILE_TEXTS, HOSTILE_VALUES, hostileBodies } from './hostile.ts'
import { send } from './probe.ts'

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 500)
const SEED = process.env['FUZZ_SEED']
const routes = allRoutes()
const CREDENTIAL_HEADERS = ['authorization', 'unidentified-access-key', 'group-send-token', 'x-forwarded-for']
const shortTexts = HOSTILE_TEXTS.filter((text) => text.length < 1000)

const credentialTexts = [
  ...shortTexts,
  ...['Basic', 'Basic ', 'Basic =', 'Basic Og==', 'Basic YQ==', 'Bearer x', 'basic eDp5'],
]

let fuzzer: Fuzzer
before(async () => {
  fuzzer = await Fuzzer.open()
})
after(async () => {
  await fuzzer.close()
  assert.ok(fuzzer.sent > 5000, `only ${fuzzer.sent} requests`)
})

for (const named of routes.filter((one) => !isFatal(one))) {
  const { route } = named
  const title = `${route.method} ${route.path}`
  const everyDoor = <T>(one: T): T[] => fuzzer.doorsFor(named).map(() => one)

  test(`${title} takes its example, so that what is spoilt in it is what is refused`, async () => {
    const from = await fuzzer.freshCast(named)
    const probe = { named, example: exampleOf(named, from), headers: credentialsFor(named, from) }
    const reply = await send(probe, fuzzer.doorsFor(named)[0]!)
    assert.ok(reply.status in route.replies, `${reply.status} ${Buffer.from(reply.body)}`)
  })

  if (route.body.contentType !== undefined) {
    test(`${title} answers every hostile value in every field by its contract`, async () => {
      const from = await fuzzer.freshCast(named)
      const example = exampleOf(named, from)
      const cases = fieldsOf(route).flatMap((path) =>
        HOSTILE_VALUES.map((value) => ({
          example: { ...example, body: withField(example.body, path, value) },
        })),
      )
      assert.deepEqual(await fuzzer.run(named, cases, from), [])
      await fuzzer.assertWell()
    })

    test(`${title} answers a body that is hostile as a whole by its contract`, async () => {
      const from = await fuzzer.freshCast(named)
      const example = exampleOf(named, from)
      for (const [name, bytes] of Object.entries(hostileBodies(example.body)))
        assert.deepEqual(await fuzzer.run(named, everyDoor({ example, bytes }), from), [], name)
      await fuzzer.assertWell()
    })
  }

  test(`${title} answers every hostile parameter, query and header by its contract`, async () => {
    const from = await fuzzer.freshCast(named)
    const example = exampleOf(named, from)
    const spoilt = (part: 'params' | 'query' | 'headers') =>
      Object.keys(example[part]).flatMap((key) =>
        shortTexts.map((text) => ({
          example: { ...example, [part]: { ...example[part], [key]: text } } as Example,
          strayed: part === 'params',
        })),
      )
    const cases = [...spoilt('params'), ...spoilt('query'), ...spoilt('headers')]
    assert.deepEqual(await fuzzer.run(named, cases, from), [])
    for (const type of CONTENT_TYPES) {
      const headers = { 'content-type': type ?? '' }
      assert.deepEqual(await fuzzer.run(named, everyDoor({ example }), from, { headers }), [], type)
    }
    await fuzzer.assertWell()
  })

  test(`${title} answers every sort of credentials by its contract`, async () => {
    const from = await fuzzer.freshCast(named)
    const example = exampleOf(named, from)
    for (const name of CREDENTIAL_HEADERS)
      for (const [index, text] of credentialTexts.entries()) {
        const doors = [fuzzer.doorsFor(named)[index % fuzzer.doorsFor(named).length]!]
        const options = { headers: { [name]: text }, doors }
        const wrong = await fuzzer.run(named, [{ example, strayed: true }], from, options)
        assert.deepEqual(wrong, [], `${name}: ${text}`)
      }
    await fuzzer.assertWell()
  })
}

for (const named of routes.filter(isFatal))
  test(`${named.route.method} ${named.route.path} answers hostile headers by its contract, and then ends its caller`, async () => {
    const from = { ...(await fuzzer.freshCast(named)), own: await register(fuzzer.server) }
    const example = exampleOf(named, from)
    const doors = fuzzer.doorsFor(named).filter(({ kind }) => kind === 'https')
    for (const name of CREDENTIAL_HEADERS)
      for (const text of credentialTexts) {
        const options = { headers: { [name]: text }, doors }
        assert.deepEqual(
          await fuzzer.run(named, [{ example, strayed: true }], from, options),
          [],
          `${name}: ${text}`,
        )
      }
    const reply = await send({ named, example, headers: credentialsFor(named, from) }, doors[0]!)
    assert.equal(reply.status, 401)
    await fuzzer.assertWell()
  })

type Spoiling = { readonly named: NamedRoute; readonly at: readonly [Path, unknown][]; readonly door: number }

const anyValue = fc.oneof(
  fc.constantFrom(...HOSTILE_VALUES),
  fc.jsonValue(),
  fc.string({ unit: 'binary', maxLength: 64 }),
  fc.integer(),
  fc.base64String({ maxLength: 2200 }),
)

const spoilings: fc.Arbitrary<Spoiling> = fc
  .constantFrom(...routes.filter(({ route }) => route.body.schema !== undefined))
  .chain((named) => {
    const change = fc.tuple(fc.constantFrom(...fieldsOf(named.route)), anyValue)
    const at = fc.array(change, { minLength: 1, maxLength: 4 })
    return fc.record({ named: fc.constant(named), at, door: fc.nat(3) })
  })

test('several fields at once, spoilt at random, are answered by the contract', async () => {
  const from = await fuzzer.freshCast()
  const spoiling = fc.asyncProperty(spoilings, async ({ named, at, door }) => {
    const example = exampleOf(named, from)
    const body = at.reduce((spoilt, [path, value]) => withField(spoilt ?? {}, path, value), example.body)
    // Several large values at once can make a frame that a socket is rightly closed for (1009).
    fc.pre((JSON.stringify(body) ?? '').length < MAX_FRAME_BYTES / 2)
    const probe = { named, example: { ...example, body }, headers: credentialsFor(named, from) }
    assert.equal(await fuzzer.judge(probe, fuzzer.doors.all[door]!), undefined)
  })
  await fc.assert(spoiling, { numRuns: RUNS, ...(SEED !== undefined && { seed: Number(SEED) }) })
  await fuzzer.assertWell()
})
