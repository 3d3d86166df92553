// `heliograph invite` and `heliograph registration`, as an operator and a script type them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openNet } from '../client/net.ts'
import { newNumber, registerProven } from '../client/register.ts'
import { heliograph } from '../command.ts'
import { ServerProcess } from '../server-process.ts'

test('an operator invites, lists and takes back', async () => {
  const yaml = 'registration: { mode: invite }\nlisten: { url: "https://chat.example.org/" }\n'
  await using server = await ServerProcess.start({ yaml })
  const say = (...args: string[]) => heliograph(...args, '--data', server.data)
  const shown = await say('invite', 'create', '--uses', '3', '--days', '2', '--note', 'the choir')
  assert.deepEqual([shown.code, shown.err], [0, ''])
  assert.doesNotMatch(shown.out, /It names this host/)
  const link = /link +(https:\/\/chat\.example\.org\/invite\/[0-9a-z]{32})$/m.exec(shown.out)?.[1]
  assert.ok(link, shown.out)
  assert.match(shown.out, /[▀▄█]{10}/)
  assert.match(shown.out, /good +3 times/)
  assert.doesNotMatch(shown.out, /digits/)
  const number = newNumber()
  const made = JSON.parse((await say('invite', 'create', '--number', number, '--json')).out)
  assert.deepEqual([made.uses, made.number, made.server], [1, number, 'https://chat.example.org'])
  assert.match(made.digits, /^\d{6}$/)
  assert.match(made.fingerprint, /^([0-9A-F]{2}:){31}[0-9A-F]{2}$/)

  const service = await openNet(server.ready, 2).createRegistrationSession({ e164: number })
  await service.requestVerification({ transport: 'sms', client: 'ios', languages: [] })
  assert.ok(await service.verifySession(made.digits))
  await registerProven(service, number)

  const listed = JSON.parse((await say('invite', 'list', '--json')).out)
  assert.deepEqual(
    listed.map(({ id, usesLeft, note }: Record<string, unknown>) => [id, usesLeft, note]).sort(),
    [
      [link.split('/').at(-1)!.slice(0, 8), 3, 'the choir'],
      [made.id, 0, ''],
    ].sort(),
  )
  assert.match((await say('invite', 'list')).out, /3 of 3 left {2}until .* {2}the choir$/m)
  const id = made.id as string
  assert.match((await say('invite', 'revoke', id)).out, new RegExp(`by ${id} any more`))
  assert.match((await say('invite', 'revoke', id)).err, /^heliograph: There is no such invite/)
  assert.doesNotMatch(server.log, new RegExp(`${made.code}|${made.digits}|${number.slice(1)}`))
})

test('what is typed wrong of an invite is told in one sentence', async () => {
  await using server = await ServerProcess.start()
  for (const [args, sentence] of [
    [['invite'], /^heliograph: Say what: heliograph invite create, list or revoke/],
    [['invite', 'revoke'], /^heliograph: Say what/],
    [['invite', 'create', '--uses', '0'], /^heliograph: --uses needs a number from 1 to 10000\./],
    [['invite', 'create', '--days', '367'], /^heliograph: --days needs a number from 1 to 366\./],
    [['invite', 'create', '--number', '12'], /^heliograph: That is no phone number/],
    [['invite', 'create', '--number', '+12025550143', '--uses', '2'], /^heliograph: .* is good once\./],
    [['registration'], /^heliograph: Say what: heliograph registration stop, start or status/],
    [['registration', 'halt'], /^heliograph: Say what/],
  ] as const) {
    const { code, out, err } = await heliograph(...args, '--data', server.data)
    assert.deepEqual([code, out], [1, ''], args.join(' '))
    assert.match(err, sentence)
  }
  const local = await heliograph('invite', 'create', '--data', server.data)
  assert.match(local.out, /^It names this host .*listen\.url/m)
})

test('registration is stopped and started from the command line', async () => {
  await using server = await ServerProcess.start()
  const say = (...args: string[]) => heliograph('registration', ...args, '--data', server.data)
  assert.match((await say('status')).out, /^Mode open: .*\nNew accounts are let in\.\nDisk free \d+ MiB/)
  assert.match((await say('stop')).out, /Stopped by hand since 2/)
  await assert.rejects(openNet(server.ready, 2).createRegistrationSession({ e164: newNumber() }))
  const { heldBy, mode } = JSON.parse((await say('status', '--json')).out)
  assert.deepEqual([heldBy, mode], ['operator', 'open'])
  assert.match((await say('start')).out, /New accounts are let in\./)
  assert.ok(await openNet(server.ready, 2).createRegistrationSession({ e164: newNumber() }))
})
