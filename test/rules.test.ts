// The law of the house (design §3 and §8), kept by reading the source.
import assert from 'node:assert/strict'
import { basename, dirname } from 'node:path'
import { test } from 'node:test'
import { codeLines, filesOf, findCycle, readText, type SourceFile, sourceFiles } from './source.ts'
import { idleTests, testsOf } from './test-blocks.ts'

const files = sourceFiles()
const isTest = (path: string) => path.endsWith('.test.ts')
const product = files.filter(({ path }) => !isTest(path) && /^(wire|server|client)\//.test(path))

/** What puts the parts together, and so may know all of them. */
const COMPOSITION = [
  'server/main.ts',
  'server/up.ts',
  'server/services.ts',
  'server/ground.ts',
  'server/warm.ts',
  'server/chat/chat.ts',
  'server/chat/capabilities.ts',
  'server/storage/storage.ts',
  'server/files/files.ts',
]

/** Who else may read the contract's own shapes, and why. Everybody else gets values from a door. */
const CONTRACT_READERS: Readonly<Record<string, string>> = {
  'server/kit/grpc-message.ts': 'the five-byte prefix is written by the same writer as the message',
  'server/chat/chat.ts': 'Accounts is one service, and several capabilities bring its parts',
  'server/kit/grpc-status.ts': 'google.rpc.Status is what the gRPC door itself says; no rule sees it',
  'server/chat/messages/envelope.ts': 'an envelope is stored as the bytes that clients get',
  'server/chat/provisioning/provisioning.ts': 'its address is the body of a request to the client',
  'server/chat/accounts/service-identifier.ts': "gRPC's way to write an id, for every capability's grpc.ts",
  'server/chat/accounts/attributes.ts': "maps the contract's attributes to the rules', for two capabilities",
  'server/storage/groups/messages.ts': 'a group is stored, signed and told as the message that it is',
  'server/push/remote-gateway.ts': 'the client of the internal door',
  'server/chat/registration/registration.ts':
    'a type only: a registration has twenty fields, not written twice',
}

/** The services that are made of capabilities, each with the file that lists them in order. */
const SERVICES = ['chat', 'storage']
const composer = (service: string) =>
  service === 'chat' ? 'server/chat/capabilities.ts' : `server/${service}/${service}.ts`
const capabilityOf = (path: string, service: string) =>
  new RegExp(`^server/${service}/([^/]+)/`).exec(path)?.[1]

/** Breaches of a rule over imports, each as a sentence. */
const importBreaches = (
  of: readonly SourceFile[],
  allowed: (from: string, to: string) => boolean,
): string[] =>
  of.flatMap(({ path, imports }) =>
    imports.filter((to) => !allowed(path, to)).map((to) => `${path} imports ${to}`),
  )

const within = (folder: string) => product.filter(({ path }) => path.startsWith(`${folder}/`))

test('wire imports nothing of ours', () => {
  assert.deepEqual(
    importBreaches(within('wire'), (_, to) => to.startsWith('wire/')),
    [],
  )
})

test('kit knows no service: it imports kit and wire only', () => {
  assert.deepEqual(
    importBreaches(within('server/kit'), (_, to) => /^(server\/kit|wire)\//.test(to)),
    [],
  )
})

test('the client imports client and wire only, and its core no face', () => {
  assert.deepEqual(
    importBreaches(within('client'), (from, to) =>
      from.startsWith('client/core/') ? /^(client\/core|wire)\//.test(to) : /^(client|wire)\//.test(to),
    ),
    [],
  )
})

test('nothing imports test, and nothing of the product imports bench', () => {
  const outside = files.filter(({ path }) => !isTest(path) && !path.startsWith('test/'))
  assert.deepEqual(
    importBreaches(
      outside,
      (from, to) => !to.startsWith('test/') && (from.startsWith('bench/') || !to.startsWith('bench/')),
    ),
    [],
  )
})

/** The capabilities as its composer comes to them after its imports. */
function capabilityOrder(service: string): string[] {
  const text = readText(composer(service))
  const body = text.slice(text.indexOf('export async function open'))
  const positions = new Map<string, number>()
  for (const [, names, capability] of text.matchAll(/^import \{([^}]+)\} from '\.\/([^/]+)\//gm)) {
    for (const name of names!.split(',').map((one) => one.trim())) {
      const position = body.search(new RegExp(`\\b${name}\\b`))
      if (position < 0 || name.startsWith('type ')) continue
      positions.set(capability!, Math.min(position, positions.get(capability!) ?? position))
    }
  }
  return [...positions].sort(([, a], [, b]) => a - b).map(([capability]) => capability)
}

for (const service of SERVICES)
  test(`a capability imports only those before it in ${basename(composer(service))}`, () => {
    const order = capabilityOrder(service)
    const inService = within(`server/${service}`)
    const folders = new Set(
      inService.map(({ path }) => capabilityOf(path, service)).filter((one) => one !== undefined),
    )
    assert.deepEqual([...folders].sort(), [...order].sort(), 'it names every capability')
    const before = (from: string, to: string) => order.indexOf(to) < order.indexOf(from)
    assert.deepEqual(
      importBreaches(inService, (from, to) => {
        const [own, other] = [capabilityOf(from, service), capabilityOf(to, service)]
        if (COMPOSITION.includes(from) || other === undefined || own === other) return to !== from
        return own !== undefined && before(own, other)
      }),
      [],
    )
  })

test('services do not import one another, and only main knows them', () => {
  const serviceOf = (path: string) => /^server\/([^/]+)\//.exec(path)?.[1]
  assert.deepEqual(
    importBreaches(within('server'), (from, to) => {
      if (COMPOSITION.includes(from) || !to.startsWith('server/')) return true
      if (serviceOf(from) === 'commands') return /^server\/(kit\/|up\.ts$)/.test(to)
      return serviceOf(to) === 'kit' || (serviceOf(to) !== undefined && serviceOf(to) === serviceOf(from))
    }),
    [],
  )
})

test("the contract's shapes are read at the doors and by the client's core only", () => {
  const isContract = (path: string) => /^wire\/(rest|gen)\//.test(path) || path === 'wire/protobuf.ts'
  const isDoor = (path: string) => /^(rest|grpc)\.ts$/.test(basename(path))
  const outside = product.filter(({ path }) => !path.startsWith('wire/') && !path.startsWith('client/core/'))
  assert.deepEqual(
    importBreaches(outside, (from, to) => !isContract(to) || isDoor(from) || from in CONTRACT_READERS),
    [],
  )
  const readers = outside.filter(({ imports }) => imports.some(isContract)).map(({ path }) => path)
  const stale = Object.keys(CONTRACT_READERS).filter((path) => !readers.includes(path))
  assert.deepEqual(stale, [], 'an exception that nothing needs any more')
})

test('no file imports itself through others', () => {
  assert.equal(findCycle(files)?.join(' → '), undefined)
})

const AMBIENT =
  /\bDate\.now\b|\bnew Date\(\)|\bMath\.random\b|\bconsole\.|\bprocess\.env\b|\bperformance\.now\b|\brandom(Bytes|UUID|Int)\b|\bset(Timeout|Interval)\(/

test('time, randomness and the environment are handed in', () => {
  const free = (path: string) =>
    /^server\/(kit|commands)\//.test(path) || COMPOSITION.slice(0, 5).includes(path)
  const breaches = product
    .filter(({ path }) => !free(path))
    .flatMap(({ path, text }) =>
      codeLines(text).flatMap((line, index) =>
        AMBIENT.test(line) ? [`${path}:${index + 1}: ${line.trim()}`] : [],
      ),
    )
  assert.deepEqual(breaches, [])
})

test('a file is named for what it exports, in kebab-case', () => {
  const vague = /(^|-)(index|utils?|helpers?|common|misc|shared|manager|impl)\.(test\.)?ts$/
  const named = /^[a-z0-9]+(-[a-z0-9]+)*(\.test)?\.ts$/
  const names = files.filter(({ path }) => !path.startsWith('wire/gen/')).map(({ path }) => path)
  assert.deepEqual(
    names.filter((path) => vague.test(basename(path)) || !named.test(basename(path))),
    [],
  )
})

const SQL_TABLE = /\b(?:FROM|INTO|UPDATE|JOIN)\s+([a-z_]+)\b/g

test('a table is queried by one store, of the capability that owns it', () => {
  const migrations = filesOf('server/*/migrations/*.sql').map(readText).join('\n')
  const tables = new Set(Array.from(migrations.matchAll(/CREATE TABLE (\w+)/g), ([, table]) => table!))
  // What a table is called while it is made anew.
  for (const [, table] of migrations.matchAll(/ALTER TABLE (\w+) RENAME TO/g)) tables.delete(table!)
  assert.ok(tables.size > 0)
  const named = (text: string) => {
    const inSql = Array.from(text.matchAll(SQL_TABLE), ([, table]) => table!)
    const byName = [...tables].filter((table) => table.includes('_') && text.includes(table))
    return [...new Set([...inSql, ...byName])].filter((table) => tables.has(table))
  }
  const users = new Map<string, string[]>()
  for (const { path, text } of product.filter(({ path }) => !path.startsWith('server/kit/')))
    for (const table of named(codeLines(text).join('\n')))
      users.set(table, [...(users.get(table) ?? []), path])
  assert.deepEqual(
    [...tables].filter((table) => !users.has(table)),
    [],
    'a table that nobody queries',
  )
  const isStore = (path: string) => /^(.+-)?store\.ts$/.test(basename(path))
  const breaches = [...users].filter(([, paths]) => paths.length > 1 || !paths.every(isStore))
  assert.deepEqual(breaches, [])
  const folders = new Set([...users.values()].map(([path]) => dirname(path!)))
  assert.ok(folders.size > 1)
})

test('a test is skipped only where a program is not installed', () => {
  const skips = /\.(skip|only|todo)\(|\b(skip|only|todo):/
  const tooling = ['test/run.ts', 'test/reporter.ts', 'test/rules.test.ts']
  const breaches = files
    .filter(({ path }) => (path.startsWith('test/') || isTest(path)) && !tooling.includes(path))
    .flatMap(({ path, text }) =>
      codeLines(text)
        .filter((line) => skips.test(line) && !line.includes(" is not installed'"))
        .map((line) => `${path}: ${line.trim()}`),
    )
  assert.deepEqual(breaches, [])
})

/** Tests that fail because what they call throws, or because they do not compile. */
const FAIL_BY_THEMSELVES = [
  'every commented line of the example can be uncommented',
  'a forgotten RPC and an answer without an outcome do not compile',
  'keys and limiters do not share buckets',
  'a cleared bucket is full',
]

test('every test asserts something', () => {
  const idle = files
    .filter(({ path }) => isTest(path))
    .flatMap((file) => idleTests(file, files).map(({ name }) => ({ path: file.path, name })))
    .filter(({ name }) => !FAIL_BY_THEMSELVES.includes(name))
  assert.deepEqual(idle, [])
})

test('a test is named by a sentence', () => {
  const names = files
    .filter(({ path }) => isTest(path))
    .flatMap((file) => testsOf(file).map(({ name }) => name))
  assert.ok(names.length > 100)
  assert.deepEqual(
    names.filter((name) => name.split(/\s+/).length < 3),
    [],
  )
})
