// What the server makes of a client's version, platform and other devices: refusal of expired apps (499), alerts,
// settings (signal-api §0.4, §1.2, §2.21, §5.8).
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import * as LS from '@signalapp/libsignal-client'
import { type Clock, systemClock } from '../../server/kit/clock.ts'
import { Keys, KeysAnonymous } from '../../wire/gen/keys.js'
import { Messages } from '../../wire/gen/messages.js'
import { RemoteConfiguration } from '../../wire/gen/remote_configuration.js'
import { GrpcClient } from '../client/grpc.ts'
import { authorizationOf, Https } from '../client/https.ts'
import { linkDevice } from '../client/linked-device.ts'
import { HTTP_VERSIONS, openNet } from '../client/net.ts'
import { knock } from '../client/raw-socket.ts'
import { type Registered, register } from '../client/register.ts'
import { Constellation } from '../constellation.ts'
import { within } from '../within.ts'

const DAY_MS = 86_400_000
const EXPIRED = 'Signal-Desktop/6.9.9'
const BLOCKED = 'Signal-Android/7.1.0'
const SERVED = 'Signal-Desktop/7.0.0'
const REMOTE = {
  'global.maxGroupSize': '1001',
  'desktop.new': { value: 'on', defaultValue: 'off' },
  'desktop.later': { percentage: 0 },
  'android.new': 'on',
}
const listener = {
  onConnectionInterrupted: () => {},
  onIncomingMessage: () => {},
  onQueueEmpty: () => {},
}
const usernameOf = ({ aci, deviceId }: Registered) => `${aci.getServiceIdString()}.${deviceId}`

/** The host's clock, set to another time. */
let aheadMs = 0
const clock: Clock = { ...systemClock, nowMs: () => systemClock.nowMs() + aheadMs }

let server: Constellation
let strict: Constellation
let account: Registered
let linked: Registered
before(async () => {
  const rules = { minimumVersions: { desktop: '7.0.0' }, blockedVersions: { android: ['7.1.0'] } }
  const backups = { maxMediaBytes: 5_000_000, graceDays: 90 }
  server = await Constellation.open({ clock, config: { clients: rules, remoteConfig: REMOTE, backups } })
  strict = await Constellation.open({ config: { clients: { unrecognizedUserAgents: 'refused' } } })
  account = await register(server)
  linked = await linkDevice(server, account)
})
after(async () => {
  await server.close()
  await strict.close()
})

for (const httpVersion of HTTP_VERSIONS)
  describe(`clients over HTTP/${httpVersion}`, () => {
    test('libsignal learns that its app has expired, on either socket', async () => {
      for (const userAgent of [EXPIRED, BLOCKED]) {
        const net = () => openNet(server.ready, httpVersion, userAgent)
        const [username, { password }] = [usernameOf(account), account]
        const authenticated = net().connectAuthenticatedChat(username, password, false, listener)
        await assert.rejects(authenticated, { code: LS.ErrorCode.AppExpired })
        const anonymous = net().connectUnauthenticatedChat({ onConnectionInterrupted: () => {} })
        await assert.rejects(anonymous, { code: LS.ErrorCode.AppExpired })
      }
    })

    test('libsignal connects with an app that is served', async () => {
      const net = openNet(server.ready, httpVersion, SERVED)
      const chat = await net.connectAuthenticatedChat(usernameOf(account), account.password, false, listener)
      const { status } = await chat.fetch({ verb: 'GET', path: '/v1/accounts/whoami', headers: [] })
      assert.equal(status, 200)
      await chat.disconnect()
    })

    test('a refused upgrade tells the time, so that clients believe it', async () => {
      for (const path of ['/v1/websocket/', '/v1/websocket/provisioning/']) {
        const { status, headers } = await knock(server.ready, httpVersion, {
          path,
          headers: { 'user-agent': EXPIRED },
        })
        assert.equal(status, 499, path)
        assert.match(headers['x-signal-timestamp'] ?? '', /^\d{13}$/)
      }
    })

    test('every request of an expired app is 499, before anything else is looked at', async () => {
      await using https = Https.open(server.ready, httpVersion)
      const headers = { ...authorizationOf(account), 'user-agent': EXPIRED }
      for (const path of ['/v1/accounts/whoami', '/v2/config', '/nowhere']) {
        const reply = await https.call('GET', path, { headers })
        assert.deepEqual([reply.status, reply.body.length], [499, 0], path)
        assert.match(reply.headers['x-signal-timestamp'] ?? '', /^\d{13}$/)
      }
      const served = await https.call('GET', '/v1/accounts/whoami', {
        headers: { ...headers, 'user-agent': SERVED },
      })
      assert.equal(served.status, 200)
    })

    test('an operator may refuse whoever is no client of ours', async () => {
      await using https = Https.open(strict.ready, httpVersion)
      const statusFor = async (headers: Readonly<Record<string, string>>) =>
        (await https.call('GET', '/v1/accounts/whoami', { headers })).status
      assert.equal(await statusFor({}), 499)
      assert.equal(await statusFor({ 'user-agent': 'curl/8.0' }), 499)
      assert.equal(await statusFor({ 'user-agent': 'Signal-iOS/1.0.0 iOS/17' }), 401)
      assert.equal((await knock(strict.ready, httpVersion)).status, 499)
    })

    test('a linked device hears that its primary was away for more than 30 days', async () => {
      const alertsFor = async (device: Registered) => {
        const heard = Promise.withResolvers<readonly string[]>()
        const chat = await openNet(server.ready, httpVersion).connectAuthenticatedChat(
          usernameOf(device),
          device.password,
          false,
          { ...listener, onReceivedAlerts: heard.resolve },
        )
        const alerts = await within(heard.promise, 'the alerts')
        await chat.disconnect()
        return alerts
      }
      assert.deepEqual(await alertsFor(account), [])
      assert.deepEqual(await alertsFor(linked), [])
      aheadMs += 32 * DAY_MS
      assert.deepEqual(await alertsFor(linked), ['idle-primary-device'])
      assert.deepEqual(await alertsFor(account), [])
      assert.deepEqual(await alertsFor(linked), [])
    })

    test('nothing is for sale, and clients learn how much may be backed up', async () => {
      await using https = Https.open(server.ready, httpVersion)
      const { status, json } = await https.call('GET', '/v1/subscription/configuration')
      assert.equal(status, 200)
      const paid = { storageAllowanceBytes: 5_000_000, playProductId: '', mediaTtlDays: 90 }
      assert.deepEqual(json, {
        currencies: {},
        levels: {},
        backup: { levels: { 201: paid }, freeTierMediaDays: 90 },
        sepaMaximumEuros: 0,
      })
    })

    test('there is no log of keys: what asks for one is told that it is not here', async () => {
      const chat = await openNet(server.ready, httpVersion).connectUnauthenticatedChat({
        onConnectionInterrupted: () => {},
      })
      const json = new Uint8Array(Buffer.from('{}'))
      for (const [verb, path, body] of [
        ['POST', '/v1/key-transparency/search', json],
        ['POST', '/v1/key-transparency/monitor', json],
        ['GET', '/v1/key-transparency/distinguished?lastTreeHeadSize=1', undefined],
      ] as const) {
        const headers: [string, string][] = body ? [['content-type', 'application/json']] : []
        const reply = await chat.fetch({ verb, path, headers, ...(body && { body }) })
        assert.deepEqual([reply.status, reply.body?.length ?? 0], [404, 0], path)
      }
      await chat.disconnect()
    })

    test('settings are those of the platform, and have another tag for each', async () => {
      await using https = Https.open(server.ready, httpVersion)
      const fetchAs = (userAgent: string, more: Readonly<Record<string, string>> = {}) =>
        https.call('GET', '/v2/config', {
          headers: { ...authorizationOf(account), 'user-agent': userAgent, ...more },
        })
      const desktop = await fetchAs(SERVED)
      const common = { 'global.maxGroupSize': '1001' }
      assert.deepEqual(desktop.json, {
        config: { ...common, 'desktop.new': 'on', 'desktop.later': 'false' },
      })
      const android = await fetchAs('Signal-Android/7.2.0')
      assert.deepEqual(android.json, { config: { ...common, 'android.new': 'on' } })
      const etag = desktop.headers['etag']!
      assert.equal((await fetchAs(SERVED, { 'if-none-match': etag })).status, 304)
      assert.equal((await fetchAs('Signal-Android/7.2.0', { 'if-none-match': etag })).status, 200)
    })
  })

test('by gRPC an expired app is told to upgrade, whatever it calls', async () => {
  await using grpc = GrpcClient.open(server.ready)
  const old = { 'user-agent': `${EXPIRED} libsignal/0.103.0` }
  const known = { ...authorizationOf(account), ...old }
  const calls = [
    grpc.call(Keys.rpcs.getPreKeyCount, {}, known),
    grpc.call(Keys.rpcs.getPreKeyCount, {}, old),
    grpc.call(KeysAnonymous.rpcs.getPreKeys, {}, old),
    grpc.call(Messages.rpcs.getMessages, { options: {} }, known),
  ]
  for (const { code, reason } of await Promise.all(calls))
    assert.deepEqual([code, reason], [3, 'UPGRADE_REQUIRED'])
  const served = { ...authorizationOf(account), 'user-agent': SERVED }
  assert.equal((await grpc.call(Keys.rpcs.getPreKeyCount, {}, served)).code, 0)
})

test('settings by gRPC are the same, and are not sent again to who has them', async () => {
  await using grpc = GrpcClient.open(server.ready)
  const { getConfiguration, getBadges } = RemoteConfiguration.rpcs
  const headers = { ...authorizationOf(account), 'user-agent': SERVED }
  const { reply } = await grpc.call(getConfiguration, {}, headers)
  const { configuration, etag } = reply!.taggedConfiguration!
  assert.deepEqual(configuration!.configuration, {
    'global.maxGroupSize': '1001',
    'desktop.new': 'on',
    'desktop.later': 'false',
  })
  assert.equal((await grpc.call(getConfiguration, { etag }, headers)).reply?.etagMatched, true)
  const other = await grpc.call(getConfiguration, { etag: etag.subarray(1) }, headers)
  assert.equal(other.reply?.response, 'taggedConfiguration')
  const badges = (await grpc.call(getBadges, {}, headers)).reply!.taggedBadges!
  assert.deepEqual(badges.badges!.badges, {})
  assert.equal((await grpc.call(getBadges, { etag: badges.etag }, headers)).reply?.etagMatched, true)
  assert.equal((await grpc.call(getConfiguration, {}, {})).reason, 'INVALID_CREDENTIALS')
})
