import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { openApi } from './openapi.ts'
import { allRoutes, ROUTES } from './routes.ts'
import { ROUTES_PAGE, routesDoc } from './routes-doc.ts'

// biome-ignore lint/suspicious/noExplicitAny: a document is read freely
type Free = any
const document = openApi('0') as Free

test('every capability of wire/rest is in the route table', () => {
  const files = readdirSync(join(import.meta.dirname, 'rest')).filter((name) => !name.endsWith('.test.ts'))
  assert.deepEqual(
    Object.keys(ROUTES)
      .map((name) => `${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}.ts`)
      .sort(),
    files.sort(),
  )
})

test('no two routes have the same method and path', () => {
  const addresses = allRoutes().map(({ route }) => `${route.method} ${route.path.replace(/:\w+/g, ':')}`)
  assert.equal(new Set(addresses).size, addresses.length)
})

test('every parameter of a path has a schema, and no other has', () => {
  for (const { name, route } of allRoutes()) {
    const inPath = Array.from(route.path.matchAll(/:(\w+)/g), ([, one]) => one)
    assert.deepEqual(Object.keys(route.params), inPath, name)
  }
})

test('the document has every route with every status', () => {
  for (const { capability, name, route } of allRoutes()) {
    const operation = document.paths[route.path.replace(/:(\w+)/g, '{$1}')][route.method.toLowerCase()]
    assert.equal(operation.operationId, `${capability}.${name}`)
    for (const status of Object.keys(route.replies))
      assert.ok(operation.responses[status], `${name} ${status}`)
  }
})

test('the document tells what travels, not what codecs make of it', () => {
  const body = document.paths['/v2/keys'].put.requestBody.content['application/json'].schema
  const { publicKey, keyId } = body.properties.preKeys.anyOf[0].items.properties
  assert.deepEqual(publicKey, { type: 'string', contentEncoding: 'base64' })
  assert.deepEqual(keyId, { type: 'integer', minimum: 0, maximum: 0x7fffffff })
  const [destination] = document.paths['/v1/messages/{destination}'].put.parameters
  assert.deepEqual(destination.schema, { type: 'string', description: 'a service id' })
})

test('who may call is a security requirement', () => {
  assert.deepEqual(document.paths['/v1/devices'].get.security, [{ device: [] }])
  assert.deepEqual(document.paths['/v1/registration'].post.security, [{ basic: [] }])
  assert.deepEqual(document.paths['/v1/accounts/account/{serviceId}'].head.security, [])
})

test('the table in docs/protocol is what the routes say today', () => {
  assert.equal(readFileSync(ROUTES_PAGE, 'utf8'), routesDoc(), 'run `npm run docs`')
})
