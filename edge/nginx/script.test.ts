import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { writeEdgeKeys } from '../../server/kit/edge-files.ts'
import { PLAIN_LIFETIME_S, plainAddress, plainKey } from '../../server/kit/plain-addresses.ts'
import { UploadKeyRing } from '../../server/kit/upload-keys.ts'
import { temporaryFolder } from '../../test/engines.ts'
import { uploadCheckScript } from './script.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const keysOf = (byte: number) => ({
  bearerKey: Buffer.alloc(32, byte),
  accessKeyId: 'A',
  secretAccessKey: 'S',
})
const nowS = () => Math.floor(Date.now() / 1000)
const NEW = plainKey(keysOf(1).bearerKey)
const OLD = plainKey(keysOf(2).bearerKey)

type Variables = Readonly<Record<string, string>>
type Case = { readonly what: string; readonly verdict: string; readonly variables: Variables }

/** A script, its keys and what is stored; and requests with the verdict that each must get. */
async function openCases(t: TestContext) {
  const folder = await temporaryFolder(t)
  const [script, secrets, attachments] = ['check.mjs', 'secrets', 'attachments'].map((name) =>
    join(folder, name),
  )
  await writeFile(script!, uploadCheckScript())
  const signsUntilMs = (nowS() - 3600) * 1000
  await writeEdgeKeys(
    secrets!,
    new UploadKeyRing({ ...keysOf(1), previous: [{ ...keysOf(2), signsUntilMs }] }),
    Date.now(),
  )
  await mkdir(join(attachments!, 'ta'), { recursive: true })
  await writeFile(join(attachments!, 'ta', 'taken-name'), 'x')
  const given = {
    request_method: 'PUT',
    http_content_length: '10',
    heliograph_upload_keys: join(secrets!, 'nginx-upload-keys.json'),
    heliograph_attachments: attachments!,
  }
  const sign = (key: Buffer, seconds: number, name = 'object-1', maxBytes = 10) =>
    plainAddress(key, { name, maxBytes, expiresAtS: nowS() + seconds })
  const one = (what: string, verdict: string, request_uri: string, more: Variables = {}): Case => ({
    ...{ what, verdict, variables: { ...given, request_uri, ...more } },
  })
  const good = sign(NEW, 600)
  const cases = [
    one('as it was signed', 'take', good),
    one('below a CDN', 'take', `/cdn3${good}`),
    one('for a week', 'take', sign(NEW, PLAIN_LIFETIME_S)),
    one('for a week, by a clock that is ahead', 'take', sign(NEW, PLAIN_LIFETIME_S + 290)),
    one('for longer', '403', sign(NEW, PLAIN_LIFETIME_S + 310)),
    one('by the key before', 'take', sign(OLD, 600)),
    one('by the key before, for a week from its end', 'take', sign(OLD, PLAIN_LIFETIME_S - 3610)),
    one('by the key before, after its end', '403', sign(OLD, PLAIN_LIFETIME_S - 3000)),
    one('by nobody', '403', sign(Buffer.alloc(32), 600)),
    one('by the secret itself', '403', sign(keysOf(1).bearerKey, 600)),
    one('expired', '403', sign(NEW, 0)),
    one('another method', '403', good, { request_method: 'POST' }),
    one(
      'another letter at the end',
      '403',
      good.replace(/.$/, (letter) => (letter === 'A' ? 'B' : 'A')),
    ),
    one(
      'another letter at its beginning',
      '403',
      good.replace(/s=./, (text) => (text === 's=A' ? 's=B' : 's=A')),
    ),
    one('a line more', '403', `${good}\n`),
    one('something before it', '403', `/x${good}`),
    one('no query', '403', '/plain/object-1'),
    one('as long as it may be', 'take', good, { http_content_length: '10' }),
    one('too long', '413', good, { http_content_length: '11' }),
    one('empty', '400', good, { http_content_length: '0' }),
    one('a part', '400', good, { http_content_range: 'bytes 0-1/2' }),
    one('taken', '409', sign(NEW, 600, 'taken-name')),
    one('taken, unsigned', '403', '/plain/taken-name'),
    one('no keys', '503', good, { heliograph_upload_keys: '/nowhere' }),
  ]
  return { folder, script: script!, cases }
}

test('the script says the same as the house’s own check, under Node', async (t) => {
  const { script, cases } = await openCases(t)
  const { default: check } = await import(pathToFileURL(script).href)
  for (const { what, verdict, variables } of cases) {
    assert.equal(check.verdict({ variables }), verdict, what)
    const answers: unknown[][] = []
    check.access({ variables, return: (...answer: unknown[]) => answers.push(answer) })
    assert.deepEqual(answers, verdict === 'take' ? [] : [[Number(verdict)]], `${what}: js_access`)
  }
})

test('the script says the same under Debian’s njs, which has no newer language', async (t) => {
  if (spawnSync('njs', ['-v']).error) {
    if (process.env['CI'] === 'true') throw new Error('CI allows no skip, but njs is not installed')
    return t.skip('njs is not installed')
  }
  const { folder, cases } = await openCases(t)
  const asked = cases.map(({ variables }) => variables)
  const driver = [
    "import check from 'check.mjs'",
    `const asked = ${JSON.stringify(asked)}`,
    'function say(variables) {',
    '  const answers = []',
    '  check.access({ variables: variables, return: function (status) { answers.push(status) } })',
    '  return [check.verdict({ variables: variables }), answers]',
    '}',
    'console.log(JSON.stringify(asked.map(say)))',
  ].join('\n')
  await writeFile(join(folder, 'driver.js'), driver)
  const { stdout, stderr } = spawnSync('njs', ['-p', folder, join(folder, 'driver.js')], { encoding: 'utf8' })
  assert.equal(stderr, '')
  const wanted = cases.map(({ verdict }) => [verdict, verdict === 'take' ? [] : [Number(verdict)]])
  assert.deepEqual(JSON.parse(stdout), wanted)
})

test('the source is typed by njs’s own declarations, and what runs is the source without its types', () => {
  const { status, stdout } = spawnSync(
    process.execPath,
    [join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', import.meta.dirname],
    { encoding: 'utf8' },
  )
  assert.equal(stdout, '')
  assert.equal(status, 0)
  assert.doesNotMatch(
    uploadCheckScript(),
    /\b(?:class|interface|type \w+ =|for \(const \w+ of)\b|\?\.|: string/,
  )
})
