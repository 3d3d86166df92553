// R6: ways around the captcha, over the wire.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { LIMITERS } from '../../server/kit/limiters.ts'
import { siteKeyOn, solveCaptcha, solvePuzzle } from '../captcha/solver.ts'
import { Https } from '../client/https.ts'
import { newNumber } from '../client/register.ts'
import { Constellation } from '../constellation.ts'
import { ServerProcess } from '../server-process.ts'

const SECRET = 'a secret of the website'
const sites = [
  { key: 'website', secret: SECRET, hostnames: ['www.example.org'] },
  { key: 'forum', secret: 'a secret of the forum', hostnames: ['forum.example.org'] },
]
const captcha = { evaluations: 4, sites }
const PAGES = '/captcha/registration'

async function open(limits: object = {}) {
  const server = await Constellation.open({ config: { captcha, limits, registration: { captcha: 'on' } } })
  const https = Https.open(server.ready, 2, 'captcha')
  const form = (path: string, fields: Readonly<Record<string, string>>) =>
    https.call('POST', path, { body: new URLSearchParams(fields).toString() })
  const session = async () => {
    const created = await https.call('POST', '/v1/verification/session', { json: { number: newNumber() } })
    const path = `/v1/verification/session/${created.json.id}`
    return async (text: string) => (await https.call('PATCH', path, { json: { captcha: text } })).status
  }
  const close = async () => {
    await https[Symbol.asyncDispose]()
    await server.close()
  }
  return { server, https, form, session, [Symbol.asyncDispose]: close }
}

test('R6: no text but one of our making opens a session, and none opens two', async () => {
  await using here = await open()
  const { https, session } = here
  const patch = async (text: string) => (await session())(text)
  const right = await solveCaptcha(https, 'registration')
  const [scheme, siteKey, action, token] = right.split('.') as [string, string, string, string]
  const noSolutions = ['', 'noop', 'noop.noop.registration.noop', token, `${scheme}.${siteKey}.${token}`]
  for (const text of [
    ...noSolutions,
    `${scheme}.${siteKey}.challenge.${token}`,
    `${scheme}.website.${action}.${token}`,
    `signal-hcaptcha.${siteKey}.${action}.${token}`,
    `${scheme}-short.${siteKey}.${action}.${token}`,
  ])
    assert.equal(await patch(text), 400, text)
  for (const text of [`${right}A`, right.slice(0, -1), `${scheme}.${siteKey}.${action}.${token}.x`])
    assert.equal(await patch(text), 403, text)
  const [one, other] = [await session(), await session()]
  const both = await Promise.all([one(right), other(right)])
  assert.deepEqual(both.sort(), [200, 403])
})

test('R6: a token of one site, action or server is nothing to another', async () => {
  await using here = await open()
  await using elsewhere = await open()
  const { https, session } = here
  const wish = { siteKey: 'website', action: 'registration', origin: 'https://www.example.org' }
  const { challenge, puzzle } = (await https.call('POST', '/captcha/puzzles', { json: wish })).json
  const key = await solvePuzzle(puzzle)
  const { token } = (await https.call('POST', '/captcha/solutions', { json: { challenge, key } })).json
  const own = await siteKeyOn(https, 'registration')
  const patch = await session()
  assert.equal(await patch(`heliograph.${own}.registration.${token}`), 403, "a site's token")
  const challenged = await solveCaptcha(https, 'challenge')
  assert.equal(await patch(challenged.replace('.challenge.', '.registration.')), 403)
  const foreign = (await solveCaptcha(elsewhere.https, 'registration')).split('.')[3]
  assert.equal(await patch(`heliograph.${own}.registration.${foreign}`), 403, "another server's")
  const asked = await https.call('POST', '/siteverify', { json: { secret: SECRET, response: token } })
  assert.equal(asked.json.success, true, 'none of this used it up')
})

test('R6: what was used stays used across a restart, and what was not stays good', async () => {
  await using here = await open()
  const { server, session } = here
  const [used, fresh] = [
    await solveCaptcha(here.https, 'registration'),
    await solveCaptcha(here.https, 'registration'),
  ]
  const before = await session()
  assert.equal(await before(used), 200)
  await server.restart()
  await using https = Https.open(server.ready, 2)
  const created = await https.call('POST', '/v1/verification/session', { json: { number: newNumber() } })
  const path = `/v1/verification/session/${created.json.id}`
  assert.equal((await https.call('PATCH', path, { json: { captcha: used } })).status, 403)
  assert.equal((await https.call('PATCH', path, { json: { captcha: fresh } })).status, 200)
})

test('R6: a client that says it had an easier puzzle is not believed', async () => {
  await using here = await open()
  const siteKey = await siteKeyOn(here.https, 'registration')
  const json = { siteKey, action: 'registration', evaluations: 1, count: 1, memoryKiB: 8, difficulty: 0 }
  const { challenge, puzzle } = (await here.https.call('POST', '/captcha/puzzles', { json })).json
  assert.deepEqual([puzzle.count, puzzle.memoryKiB], [4, 16_384])
  const key = await solvePuzzle({ ...puzzle, memoryKiB: 8, target: '' })
  const easy = { challenge, key, puzzle: { ...puzzle, memoryKiB: 8 } }
  assert.equal((await here.https.call('POST', '/captcha/solutions', { json: easy })).status, 403)
})

test('an address gets so many puzzles, riddles and answers, and is told when the next comes', async () => {
  await using here = await open()
  const { https, form } = here
  const siteKey = await siteKeyOn(https, 'registration')
  const untilRefused = async (call: () => Promise<{ status: number; headers: Record<string, unknown> }>) => {
    for (let count = 0; count < 100; count++) {
      const { status, headers } = await call()
      if (status !== 429) continue
      assert.ok(Number(headers['retry-after']) > 0)
      return count
    }
    return 'never'
  }
  const riddles = await untilRefused(() => https.call('GET', `${PAGES}?with=sound`))
  assert.equal(riddles, LIMITERS.captchaRiddle.bucket)
  const page = (await https.call('GET', `${PAGES}?with=sound`)).body.toString()
  assert.match(page, /<h1>Please wait<\/h1>/)
  assert.equal((await https.call('GET', PAGES)).status, 200, 'there is work to be had')
  const wish = { siteKey, action: 'registration' }
  const puzzles = await untilRefused(() => https.call('POST', '/captcha/puzzles', { json: wish }))
  assert.equal(puzzles, LIMITERS.captchaPuzzle.bucket)
  const answers = await untilRefused(() => form('/captcha/answer', { challenge: 'x', answer: 'x' }))
  assert.ok(Number(answers) >= LIMITERS.captchaAnswer.bucket, `${answers}`)
  const guesses = await untilRefused(() => form('/siteverify', { secret: 'a guess', response: 'x' }))
  assert.equal(guesses, LIMITERS.captchaSecret.bucket)
  const known = await form('/siteverify', { secret: SECRET, response: 'x' })
  assert.deepEqual(known.json, { success: false, 'error-codes': ['invalid-input-response'] })
})

const JUNK_REQUESTS = 10_000

test('ten thousand junk requests: none gives 5xx or a token, and others are served meanwhile', async () => {
  await using here = await open({ captchaPuzzle: { bucket: 200 } })
  const { https, form } = here
  const siteKey = await siteKeyOn(https, 'registration')
  const wish = { siteKey, action: 'registration' }
  const { challenge } = (await https.call('POST', '/captcha/puzzles', { json: wish })).json
  const junk = () => randomBytes(250).toString('base64url')
  const key = randomBytes(32).toString('base64url')
  const kinds = [
    () => https.call('POST', '/captcha/solutions', { json: { challenge: junk(), key } }),
    () => https.call('POST', '/captcha/solutions', { json: { challenge, key } }),
    () => form('/captcha/answer', { challenge: junk(), answer: 'AAAAAA' }),
    () => form('/siteverify', { secret: SECRET, response: junk() }),
    () => form('/siteverify', { secret: junk(), response: junk() }),
    () => https.call('GET', `/captcha/pictures/${junk()}`),
    () => https.call('POST', '/captcha/puzzles', { json: { ...wish, action: 'x'.repeat(500) } }),
    () => https.call('POST', '/captcha/puzzles', { json: { ...wish, siteKey: junk().slice(0, 60) } }),
    () => https.call('GET', `/captcha/widget?sitekey=website&origin=${junk()}`),
    () => https.call('POST', '/captcha/solutions', { body: randomBytes(300) }),
  ]
  const statuses = new Map<number, number>()
  let next = 0
  const sender = async () => {
    while (next < JUNK_REQUESTS) {
      const { status, body } = await kinds[next++ % kinds.length]!()
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
      assert.ok(!body.includes('"token"') && !body.includes('"success":true'))
    }
  }
  let slowestMs = 0
  const visitor = async () => {
    while (next < JUNK_REQUESTS) {
      const startedMs = performance.now()
      assert.equal((await https.call('GET', PAGES)).status, 200)
      slowestMs = Math.max(slowestMs, performance.now() - startedMs)
    }
  }
  await Promise.all([...Array.from({ length: 40 }, sender), visitor()])
  const seen = [...statuses.keys()].sort()
  assert.ok(
    seen.every((status) => [200, 403, 404, 422, 429].includes(status)),
    seen.join(),
  )
  assert.ok(slowestMs < 2000, `${slowestMs} ms`)
})

test('neither addresses nor tokens nor answers are logged', async () => {
  await using server = await ServerProcess.start({
    yaml: 'log: { level: debug }\ncaptcha: { evaluations: 4 }\n',
  })
  await using https = Https.open(server.ready, 1, 'captcha')
  const text = await solveCaptcha(https, 'registration')
  await https.call('POST', '/captcha/answer', { body: 'challenge=x&answer=secretanswer' })
  await https.call('GET', '/captcha/registration?with=picture')
  assert.equal(await server.kill('SIGTERM'), 0)
  assert.match(server.log, /captcha.right.work/)
  for (const never of [text.split('.')[3]!, '127.0.0.1', '::1', 'secretanswer'])
    assert.ok(!server.log.includes(never), never)
})
