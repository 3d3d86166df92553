import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { type Bound, json, route } from '../../wire/route.ts'
import type { Aci, DeviceAddress } from '../../wire/types.ts'
import { ManualClock } from './clock.ts'
import { parseBasic, type Request, Router } from './router.ts'

const ALICE: DeviceAddress = { aci: '9d0652a3-dcc3-4d11-975f-74d61598733f' as Aci, deviceId: 3 }
const replies = { 200: json(z.object({ caller: z.unknown() })) }
const auths = ['device', 'device-or-unidentified', 'unidentified', 'anonymous', 'none', 'basic'] as const

/** A route of each class that tells who the caller was found to be. */
const who = auths.map(
  (auth): Bound => ({
    name: auth,
    route: route({ method: 'GET', path: `/who/${auth}`, auth, summary: '', replies }),
    handle: async ({ caller }: { caller: unknown }) =>
      ({ status: 200, body: { caller: caller ?? null } }) as never,
  }),
)

function open() {
  const bugs: unknown[] = []
  const router = new Router(who, {
    clock: new ManualClock(),
    authenticate: async ({ username, password }) =>
      username === 'alice' && password === 'right' ? ALICE : undefined,
    onBug: (error) => bugs.push(error),
  })
  const ask = async (target: string, channel: Request['channel'], headers: Request['headers']) => {
    const request = { method: 'GET', target, headers, body: Buffer.alloc(0), channel }
    const { status, body } = await router.handle(request)
    const text = Buffer.from(body).toString()
    return { status, text, json: () => JSON.parse(text) }
  }
  return { ask, bugs }
}

const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`
const right = { authorization: basic('alice:right') }
const wrong = { authorization: basic('alice:wrong') }
const garbage = { authorization: 'Bearer x' }
const key = { 'unidentified-access-key': Buffer.alloc(16, 1).toString('base64') }
const badKey = { 'unidentified-access-key': '???' }
const shortKey = { 'unidentified-access-key': 'AAAA' }
const token = { 'group-send-token': 'AQID' }
const badToken = { 'group-send-token': '!' }
const onSocket = (device: DeviceAddress | undefined) =>
  ({ door: 'websocket', remoteAddress: '192.0.2.1', device }) as const
const socket = onSocket(ALICE)
const stranger = onSocket(undefined)
const rest = { door: 'rest', remoteAddress: '192.0.2.1' } as const

/** For the classes in their order: the status, or who the caller is found to be. */
const device = JSON.stringify(ALICE)
const asDevice = JSON.stringify({ kind: 'device', device: ALICE })
const NOBODY = 'null'
const NONE = '{"kind":"none"}'
const CALLERS: readonly [string, Request['channel'], Request['headers'], readonly (string | number)[]][] = [
  ['nobody', rest, {}, [401, NONE, NONE, NOBODY, NOBODY, 401]],
  ['a device', rest, right, [device, asDevice, 400, 400, NOBODY, '{"username":"alice","password":"right"}']],
  ['a wrong password', rest, wrong, [401, 401, 400, 400, NOBODY, '{"username":"alice","password":"wrong"}']],
  ['credentials that are none', rest, garbage, [401, 401, 400, 400, NOBODY, 401]],
  ['a device on its socket', socket, {}, [device, asDevice, 400, 400, NOBODY, 401]],
  ['a stranger on a socket', stranger, {}, [401, NONE, NONE, NOBODY, NOBODY, 401]],
  [
    'a stranger on a socket with credentials inside',
    stranger,
    right,
    [401, NONE, NONE, NOBODY, NOBODY, '{"username":"alice","password":"right"}'],
  ],
  [
    'a device on its socket with wrong credentials inside',
    socket,
    garbage,
    [device, asDevice, 400, 400, NOBODY, 401],
  ],
  ['an access key', rest, key, [401, 'access-key', 'access-key', NOBODY, NOBODY, 401]],
  ['an access key that is none', rest, badKey, [401, 401, 401, NOBODY, NOBODY, 401]],
  ['an access key that is too short', rest, shortKey, [401, 401, 401, NOBODY, NOBODY, 401]],
  [
    'an access key on a stranger’s socket',
    stranger,
    key,
    [401, 'access-key', 'access-key', NOBODY, NOBODY, 401],
  ],
  [
    'an access key beside a device',
    rest,
    { ...right, ...key },
    [device, asDevice, 400, 400, NOBODY, '{"username":"alice","password":"right"}'],
  ],
  ['a token', rest, token, [401, 'group-send-token', 'group-send-token', NOBODY, NOBODY, 401]],
  ['a token that is none', rest, badToken, [401, 401, 401, NOBODY, NOBODY, 401]],
  ['a token beside a key', rest, { ...token, ...key }, [401, 400, 400, NOBODY, NOBODY, 401]],
  ['a token beside a device', socket, token, [device, 400, 400, 400, NOBODY, 401]],
]

for (const [name, channel, headers, expected] of CALLERS)
  test(`who ${name} is, for each class of routes`, async () => {
    const { ask, bugs } = open()
    for (const [index, auth] of auths.entries()) {
      const { status, json, text } = await ask(`/who/${auth}`, channel, headers)
      const caller = status === 200 ? json().caller : undefined
      const found = status === 200 ? JSON.stringify(caller) : status
      const kind = expected[index] === 'access-key' || expected[index] === 'group-send-token'
      assert.equal(kind ? caller?.kind : found, expected[index], auth)
      if (status !== 200) assert.equal(text, '')
    }
    assert.deepEqual(bugs, [])
  })

test('basic credentials are read in every flavour of base64, and split at the first colon', () => {
  assert.deepEqual(parseBasic(basic('a:b:c')), { username: 'a', password: 'b:c' })
  assert.deepEqual(parseBasic(basic(':')), { username: '', password: '' })
  assert.deepEqual(parseBasic(`bAsIc ${Buffer.from('ü:>?>').toString('base64url')}`), {
    username: 'ü',
    password: '>?>',
  })
  for (const header of [
    undefined,
    '',
    'Basic',
    'Basic ',
    'Basic !',
    basic('no colon'),
    'Bearer YTpi',
    'Basic YTpi YTpi',
  ])
    assert.equal(parseBasic(header), undefined)
})
