// What libsignal can call by a name, its tests call by that name: a new version's new calls are missed here.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import '@signalapp/libsignal-client' // puts the services' calls on the connections
import {
  AuthenticatedChatConnection,
  UnauthenticatedChatConnection,
} from '@signalapp/libsignal-client/dist/net/Chat.js'
import { codeLines, sourceFiles } from '../source.ts'

const PLUMBING = ['constructor', 'fetch', 'disconnect', 'connectionInfo']

/** Typed calls that this server does not serve, and why. */
const OUT_OF_SCOPE: Readonly<Record<string, string>> = {
  getCurrencyConversions: 'payments',
  startWebAuthnRegistration: 'passkeys are not there yet',
  finishWebAuthnRegistration: 'passkeys are not there yet',
  keyTransparencyClient: 'needs a log with verifiable random functions, for which there is no library',
}

const methodsOf = (connection: { readonly prototype: object }): string[] =>
  Object.getOwnPropertyNames(connection.prototype).filter((name) => !PLUMBING.includes(name))

const tests = sourceFiles()
  .filter(({ path }) => /^test\/(conformance|client|scenarios)\//.test(path))
  .filter(({ path }) => !path.endsWith('typed-calls.test.ts'))
  .map(({ text }) => codeLines(text).join('\n'))
  .join('\n')

for (const connection of [AuthenticatedChatConnection, UnauthenticatedChatConnection])
  test(`every typed call of ${connection.name} is made by a test, or is out of scope`, () => {
    const methods = methodsOf(connection)
    assert.ok(methods.length > 20)
    const missed = methods.filter((name) => !new RegExp(`\\.${name}\\(`).test(tests))
    assert.deepEqual(
      missed.filter((name) => !(name in OUT_OF_SCOPE)),
      [],
    )
  })

test('what is out of scope is still a call of the library', () => {
  const all = [AuthenticatedChatConnection, UnauthenticatedChatConnection].flatMap(methodsOf)
  assert.deepEqual(
    Object.keys(OUT_OF_SCOPE).filter((name) => !all.includes(name)),
    [],
  )
})
