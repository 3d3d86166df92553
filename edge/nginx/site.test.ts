import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { loadConfig } from '../../server/kit/config.ts'
import { heliograph } from '../../test/command.ts'
import { temporaryFolder } from '../../test/engines.ts'
import { hasNginx, NGINX } from '../../test/nginx/fronted.ts'
import { isAtLeast, NginxError } from './installed-nginx.ts'
import { httpConf, nginxConf, type Site } from './site.ts'
import { writeSite } from './write-site.ts'

const SITE: Site = {
  nginx: { version: '1.30.6', openssl: '3.6.5', jsModule: undefined, hasJsAccess: true },
  ...{ host: '::', port: 443, names: ['files.example.org', 'chat.example.org'] },
  ...{ certificate: '/tls/chain.pem', certificateKey: '/tls/key.pem', authority: '/data/tls/ca.pem' },
  ...{ upstream: '127.0.0.1:8443', filesFolder: '/data/files', socket: '/data/files/nginx.sock' },
  ...{ keyFile: '/data/secrets/keys.json', maxPerAddress: 1000, folder: '/etc/heliograph', user: undefined },
}
const OLDER: Site = {
  ...SITE,
  nginx: { version: '1.22.1', openssl: '3.0.19', jsModule: '/modules/js.so', hasJsAccess: false },
}

const CONFIGS: Readonly<Record<string, string>> = {
  'the least': 'edge: { nginx: {} }',
  'every address, by names':
    'edge: { nginx: { host: "::", port: 8444, names: [files.example.org, "*.example.org"] } }',
  'an own folder of files, a quota':
    'files: { folder: FOLDER/elsewhere, maxBytes: 1000 }\nedge: { nginx: { port: 8444 } }',
  'a server on another address': 'listen: { host: "::1", port: 9443 }\nedge: { nginx: { port: 8444 } }',
  'a server on every address': 'listen: { host: 0.0.0.0 }\nedge: { nginx: { port: 8444 } }',
  'a given certificate':
    'edge: { nginx: { certificate: FOLDER/given.pem, certificateKey: FOLDER/given.key } }',
}

async function written(t: TestContext, yaml: string) {
  const folder = await temporaryFolder(t)
  const file = join(folder, 'config.yaml')
  const given = async (made: Awaited<ReturnType<typeof writeSite>>) => {
    await writeFile(join(folder, 'given.pem'), await readFile(made.site.certificate))
    await writeFile(join(folder, 'given.key'), await readFile(made.site.certificateKey), { mode: 0o600 })
  }
  await writeFile(file, 'edge: { nginx: {} }')
  await given(
    await writeSite({
      config: loadConfig(file, { data: join(folder, 'data') }),
      folder: join(folder, 'first'),
    }),
  )
  await writeFile(file, yaml.replaceAll('FOLDER', folder))
  const config = loadConfig(file, { data: join(folder, 'data') })
  const out = join(folder, 'a folder', 'nginx')
  return { folder, file, out, ...(await writeSite({ config, folder: out, binary: NGINX })) }
}

for (const [what, yaml] of Object.entries(CONFIGS))
  test(`nginx takes what is written for ${what}`, async (t) => {
    if (!hasNginx(t)) return
    const { out } = await written(t, yaml)
    const { status, stderr } = spawnSync(NGINX, ['-t', '-c', join(out, 'nginx.conf'), '-e', 'stderr'], {
      encoding: 'utf8',
    })
    assert.equal(status, 0, stderr)
    assert.doesNotMatch(stderr, /\[warn\]|\[error\]|\[emerg\]/)
    assert.equal((await stat(out)).mode & 0o777, 0o700)
  })

test('another nginx may include it, beside what it does already', async (t) => {
  if (!hasNginx(t)) return
  const { folder, out, site } = await written(t, 'edge: { nginx: { port: 8444 } }')
  const { jsModule } = site.nginx
  await mkdir(join(folder, 'other'))
  const conf = `load_module ${jsModule}; pid ${folder}/other/pid; events {}
http { access_log off; include "${out}/heliograph.conf"; server { listen 127.0.0.1:8099; return 204; } }`
  await writeFile(join(folder, 'other', 'nginx.conf'), conf)
  const { status, stderr } = spawnSync(
    NGINX,
    ['-t', '-c', join(folder, 'other', 'nginx.conf'), '-e', 'stderr'],
    { encoding: 'utf8' },
  )
  assert.equal(status, 0, stderr)
})

test('the two ways of njs differ in where the check runs, and in nothing else', () => {
  const [newer, older] = [SITE, OLDER].map((site) =>
    httpConf({ ...site, nginx: { ...OLDER.nginx, hasJsAccess: site === SITE } }),
  )
  const lines = (text: string) => text.split('\n').map((line) => line.trim())
  const only = (one: string, other: string) => lines(one).filter((line) => !lines(other).includes(line))
  assert.deepEqual(only(newer!, older!), ['js_access heliograph.access;'])
  assert.deepEqual(only(older!, newer!), [
    'js_set $heliograph_verdict heliograph.verdict;',
    'if ($heliograph_verdict = 400) { return 400; }',
    'if ($heliograph_verdict = 409) { return 409; }',
    'if ($heliograph_verdict = 413) { return 413; }',
    'if ($heliograph_verdict = 503) { return 503; }',
    'if ($heliograph_verdict != take) { return 403; }',
  ])
})

test('what a newer nginx and a newer OpenSSL can do is used, and an older is spared it', () => {
  assert.match(httpConf(SITE), /listen \[::\]:443 ssl;\n {2}http2 on;/)
  assert.match(httpConf(SITE), /ssl_ecdh_curve X25519MLKEM768:X25519:prime256v1;/)
  assert.match(httpConf(OLDER), /listen \[::\]:443 ssl http2;/)
  assert.match(httpConf(OLDER), /ssl_ecdh_curve X25519:prime256v1;/)
  assert.doesNotMatch(nginxConf(SITE), /load_module|^user /m)
  assert.match(
    nginxConf({ ...OLDER, user: 'heliograph' }),
    /^load_module "\/modules\/js.so";\nuser heliograph;$/m,
  )
  assert.match(httpConf(SITE), /server_name files\.example\.org chat\.example\.org;/)
  for (const [version, least, is] of [
    ['1.25.1', '1.25.1', true],
    ['1.25.0', '1.25.1', false],
    ['1.30', '1.25.1', true],
    ['3.10.0', '3.5', true],
    ['2.9', '3.5', false],
  ] as const)
    assert.equal(isAtLeast(version, least), is, `${version} ${least}`)
})

test('a path that nginx would read as something else is refused', () => {
  for (const folder of ['/a$b', '/a"b', '/a\\b', '/a\nb'])
    assert.throws(() => nginxConf({ ...SITE, folder }), NginxError, folder)
})

test('heliograph edge nginx writes it, and says in a sentence what is missing', async (t) => {
  if (!hasNginx(t)) return
  const { folder, file } = await written(t, 'edge: { nginx: { port: 8444 } }')
  const where = ['--config', file, '--data', join(folder, 'data')]
  const said = await heliograph('edge', 'nginx', ...where, '--out', join(folder, 'out'))
  assert.equal(said.err, '')
  assert.match(said.out, /nginx -t -c .*\/out\/nginx\.conf/)
  assert.ok((await stat(join(folder, 'out', 'upload-check.js'))).isFile())
  for (const [args, sentence] of [
    [['edge', 'haproxy', ...where, '--out', folder], /knows "nginx"/],
    [['edge', 'nginx', ...where], /--out/],
    [['edge', 'nginx', '--data', join(folder, 'data'), '--out', folder], /no edge\.nginx/],
    [['edge', 'nginx', ...where, '--out', folder, '--nginx', '/bin/true'], /no nginx that runs here/],
    [['edge', 'nginx', ...where, '--out', join(folder, 'a$b')], /choose another/],
  ] as const) {
    const { code, err } = await heliograph(...args)
    assert.equal(code, 1)
    assert.match(err, sentence)
    assert.equal(err.trimEnd().split('\n').length, 1, err)
  }
})
