// A3, A4: the authorisation matrix, route by route and RPC by RPC, as the table declares it.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { BackupAuthCredentialRequestContext } from '@signalapp/libsignal-client/dist/zkgroup/index.js'
import { SetBackupIdRequest } from '../../wire/gen/backups.js'
import { allRoutes, type NamedRoute } from '../../wire/routes.ts'
import type { Rpc } from '../../wire/service.ts'
import { uuidToBytes } from '../../wire/types.ts'
import { detailsOf } from '../client/grpc.ts'
import { authorizationOf, basic } from '../client/https.ts'
import { linkDevice } from '../client/linked-device.ts'
import { type Registered, register } from '../client/register.ts'
import { ENTRIES } from '../conformance/ledger.ts'
import { exchange } from '../fuzz/doors.ts'
import { type Cast, exampleOf } from '../fuzz/examples.ts'
import { changesCaller } from '../fuzz/fatal.ts'
import { Fuzzer } from '../fuzz/fuzzer.ts'
import { send } from '../fuzz/probe.ts'
import { allRows, rowsWith, type TableRow, written } from '../rows.ts'
import { type NamedRpc, RPCS } from '../services.ts'
import { AUTHORISATION, CALLERS, type Caller, type RouteName, RPC_AUTHORISATION } from './authorisation.ts'

let fuzzer: Fuzzer
/** Those of the fuzzer, and a second device of who asks. */
type Matrix = Cast & { readonly linked: Registered; readonly stranger: Registered }

let linked: Registered
let stranger: Registered
before(async () => {
  fuzzer = await Fuzzer.open()
  // The device that the fuzzer linked makes room for those that come here.
  const headers = authorizationOf(fuzzer.cast.own)
  await fuzzer.doors.all[1]!.call('DELETE', '/v1/devices/2', headers, Buffer.alloc(0))
  linked = await linkDevice(fuzzer.server, fuzzer.cast.own)
  stranger = await register(fuzzer.server)
})
after(() => fuzzer.close())

/** Its example has a token of the account itself, which is all the permission it takes (linking.test.ts). */
const BY_TOKEN = ['linking.link']

async function victims(): Promise<Matrix> {
  const own = await register(fuzzer.server)
  const second = await linkDevice(fuzzer.server, own)
  return { ...(await fuzzer.freshCast()), own, linked: second, stranger: await register(fuzzer.server) }
}

const castFor = async (named: NamedRoute): Promise<Matrix> =>
  changesCaller(named) ? victims() : { ...(await fuzzer.freshCast()), linked, stranger }

const headersOf = (caller: Caller, { own, other, linked, stranger }: Matrix): Record<string, string> => {
  const key = (bytes: Uint8Array) => ({
    'unidentified-access-key': Buffer.from(bytes).toString('base64'),
  })
  switch (caller) {
    case 'none':
      return {}
    case 'wrong':
      return { authorization: basic(`${own.aci.getServiceIdString()}.1`, stranger.password) }
    case 'own':
      return authorizationOf(own)
    case 'linked':
      return authorizationOf(linked)
    case 'other':
      return authorizationOf(stranger)
    case 'key':
      return key(other.accessKey)
    case 'badKey':
      return key(stranger.accessKey)
  }
}

/** Over plain HTTPS, where a caller is who the headers say. */
async function statusOf(named: NamedRoute, caller: Caller): Promise<number> {
  const cast = await castFor(named)
  // A profile's example asks about who asks; everything else is about the other.
  const target = 'aci' in named.route.params ? cast.own : cast.other
  const headers = headersOf(caller, { ...cast, other: target })
  const probe = { named, example: exampleOf(named, cast), headers }
  return (await send(probe, fuzzer.doors.all[1]!)).status
}

for (const named of allRoutes()) {
  const { capability, name, route } = named
  const row = AUTHORISATION[`${capability}.${name}` as RouteName]
  test(`${route.method} ${route.path} answers each sort of caller as declared`, async () => {
    const answered = {} as Record<Caller, number>
    for (const caller of CALLERS) answered[caller] = await statusOf(named, caller)
    const declared = Object.fromEntries(
      CALLERS.map((caller) => {
        const allowed = [row[caller]].flat()
        return [caller, allowed.includes(answered[caller]) ? answered[caller] : row[caller]]
      }),
    )
    assert.deepEqual(answered, declared)
  })
}

test('the table declares no route that is not there', () => {
  const names = allRoutes().map(({ capability, name }) => `${capability}.${name}`)
  assert.deepEqual(Object.keys(AUTHORISATION).sort(), names.sort())
})

/** Whatever the storage holds of the account whose things the examples name. */
async function kept(): Promise<TableRow[]> {
  const { own } = fuzzer.cast
  const aci = own.aci.getServiceIdString()
  const pni = own.pni.getServiceIdString().slice('PNI:'.length)
  let rows: TableRow[] = []
  await fuzzer.restart(async (sql) => {
    rows = rowsWith(await allRows(sql), [uuidToBytes(aci), aci, uuidToBytes(pni), pni, own.number])
  })
  return rows
}

test("A3: whatever somebody else asks for, an account's rows stay as they are, in every table", async () => {
  const before = await kept()
  assert.ok(new Set(before.map(({ table }) => table)).size >= 4)
  const others = allRoutes().filter(({ capability, name }) => !BY_TOKEN.includes(`${capability}.${name}`))
  for (const named of others)
    for (const caller of ['other', 'badKey', 'wrong', 'none'] as const) await statusOf(named, caller)
  assert.deepEqual(written(await kept()), written(before))
})

const UNKNOWN_DEVICE = '16 INVALID_CREDENTIALS'
const WRONG_CALLER = '3 BAD_AUTHENTICATION'
/** OK or a refusal of the contents: the caller was not what was wrong. */
const isWelcome = (status: string) =>
  ['0', '3', '5', '9'].includes(status.split(' ')[0]!) && status !== WRONG_CALLER

/** A message without fields, or one that is valid where a refusal could hide behind its being none. */
function messageFor({ path }: Rpc): Uint8Array {
  if (!path.endsWith('Backups/SetBackupId')) return Buffer.alloc(0)
  const context = BackupAuthCredentialRequestContext.create(
    new Uint8Array(32),
    fuzzer.cast.own.aci.getRawUuid(),
  )
  const request = context.getRequest().serialize()
  return SetBackupIdRequest.encode({
    messagesBackupAuthCredentialRequest: request,
    mediaBackupAuthCredentialRequest: request,
  }).finish()
}

async function grpcStatus(rpc: Rpc, headers: Readonly<Record<string, string>>): Promise<string> {
  const { path } = rpc
  const message = messageFor(rpc)
  const prefix = Buffer.alloc(5)
  prefix.writeUInt32BE(message.length, 1)
  const fixed = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' }
  const { trailers, headers: head } = await exchange(
    fuzzer.doors.session,
    { ...fixed, ...headers },
    Buffer.concat([prefix, message]),
  )
  const answer: Readonly<Record<string, string | undefined>> = { ...head, ...trailers }
  const { reason } = detailsOf(answer)
  return `${answer['grpc-status']}${reason ? ` ${reason}` : ''}`
}

const declaredCallers = ({ service, rpc }: NamedRpc) =>
  RPC_AUTHORISATION[service.name]?.[rpc.path.split('/').at(-1)!]

const UNIMPLEMENTED = '12'
/** Whether the ledger says that the server has it. */
const isClaimed = ({ path }: Rpc) =>
  ENTRIES.some(
    ({ kind, endpoint, status }) =>
      kind === 'RPC' && endpoint === path.slice(1) && /^(done|partly)$/.test(status),
  )

test('every RPC that the server has is in the table', async () => {
  const missing: string[] = []
  for (const named of RPCS)
    if (declaredCallers(named) === undefined && (await grpcStatus(named.rpc, {})) !== UNIMPLEMENTED)
      missing.push(named.rpc.path)
  assert.deepEqual(missing, [])
})

for (const named of RPCS) {
  const callers = declaredCallers(named)
  if (callers === undefined) continue
  test(`${named.rpc.path} is for ${callers}`, async () => {
    // A message without fields is nobody's request in particular.
    const fatal = changesCaller(named.rpc)
    const cast = fatal ? await victims() : { ...fuzzer.cast, linked, stranger }
    const none = await grpcStatus(named.rpc, {})
    if (!isClaimed(named.rpc)) return assert.equal(none, UNIMPLEMENTED)
    const wrong = await grpcStatus(named.rpc, headersOf('wrong', cast))
    const second = await grpcStatus(named.rpc, headersOf('linked', cast))
    const first = fatal ? await victims() : cast
    const own = await grpcStatus(named.rpc, headersOf('own', first))
    if (callers === 'nobody known') {
      // A presentation takes the place of credentials for some: there it is what is wrong.
      assert.ok(isWelcome(none) || none === WRONG_CALLER, none)
      assert.deepEqual([wrong, own, second], [WRONG_CALLER, WRONG_CALLER, WRONG_CALLER])
      return
    }
    assert.deepEqual([none, wrong], [UNKNOWN_DEVICE, UNKNOWN_DEVICE])
    assert.ok(isWelcome(own), own)
    if (callers === 'any device') assert.ok(isWelcome(second), second)
    else assert.equal(second, WRONG_CALLER)
  })
}
