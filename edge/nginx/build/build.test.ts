// What of build.sh can run without a network and without minutes of compilation. A whole build is told in docs/edge/nginx-build.md.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  build,
  buildWith,
  CONFIGURE,
  fakeSources,
  has,
  sha256,
  tarball,
} from '../../../test/nginx-build/fake-sources.ts'

const LOCK = join(import.meta.dirname, 'sources.lock')
const COMPONENTS = ['nginx', 'openssl', 'njs']

const lockLines = (text: string) =>
  text
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim())
    .filter(Boolean)
    .map((line) => line.split(/\s+/) as [string, string, string, string, string])
test('the lock names every file of every source package, and nothing too old for what is built of it', () => {
  const lines = lockLines(readFileSync(LOCK, 'utf8'))
  assert.deepEqual([...new Set(lines.map(([component]) => component))], COMPONENTS)
  for (const [component, version, from, file, sum] of lines) {
    assert.match(sum, /^[0-9a-f]{64}$/, file)
    const [major = 0, minor = 0, patch = 0] = version.split(/[.-]/).map(Number)
    const number = major * 1e6 + minor * 1e3 + patch
    const least = { nginx: 1_026_003, openssl: 3_005_000, njs: 9_009 }[component]!
    assert.ok(number >= least, `${component} ${version}`)
    if (from === 'given') continue
    const beside = lines.filter((one) => one[0] === component && one[1] === version).map((one) => one[3])
    for (const form of [/\.dsc$/, /\.orig\.tar\.gz$/, /\.debian\.tar\.xz$/])
      assert.ok(
        beside.some((name) => form.test(name)),
        `${component} ${version} has ${form}`,
      )
  }
  assert.equal(
    new Set(lines.map(([, version, from, file]) => `${version} ${from} ${file}`)).size,
    lines.length,
  )
})

/** As the notes list them; the paths are ours, and -lrt is nothing any more. */
const MODULES_OF_THE_NOTES = [
  '--with-pcre-jit',
  '--with-http_v2_module',
  '--with-debug',
  '--with-http_stub_status_module',
  '--with-http_realip_module',
  '--with-http_addition_module',
  '--with-http_dav_module',
  '--with-http_gzip_static_module',
  '--with-http_sub_module',
  '--with-http_xslt_module',
  '--with-http_ssl_module',
]
const OURS = [
  '--with-compat',
  '--with-threads',
  '--with-http_v3_module',
  '--with-http_auth_request_module',
  '--with-http_secure_link_module',
  '--user=www-data',
  '--group=www-data',
]

test('a dry run says every flag, takes what the lock names, and changes nothing', async (t) => {
  const { folder, args } = await fakeSources(t)
  const before = readdirSync(folder, { recursive: true })
  const { status, stdout } = build('--dry-run', '--jobs', '3', ...args)
  assert.equal(status, 0)
  const lines = stdout.split('\n').map((line) => line.trim())
  for (const flag of [...MODULES_OF_THE_NOTES, ...OURS])
    assert.equal(lines.filter((one) => one === flag).length, 1, flag)
  assert.ok(lines.includes('+ make -j3'))
  assert.ok(lines.includes(`openssl 3.9.1: from ${folder}`))
  const flag = (name: string) => lines.find((line) => line.startsWith(`${name}=`)) ?? ''
  for (const hard of [
    '-fstack-protector-strong',
    '-D_FORTIFY_SOURCE=2',
    '-fPIC',
    '-Werror=format-security',
  ]) {
    assert.ok(flag('--with-cc-opt').includes(hard), hard)
    assert.ok(flag('--with-openssl-opt').includes(hard), `OpenSSL: ${hard}`)
  }
  for (const part of ['-z,relro', '-z,now', '-z,noexecstack'])
    assert.ok(flag('--with-ld-opt').includes(part), part)
  const [, ...options] = flag('--with-openssl-opt').split(/[= ]/)
  for (const word of ['no-tests', 'no-docs', 'no-dso', 'no-module', '--openssldir'])
    assert.ok(options.includes(word), word)
  assert.match(flag('--add-dynamic-module'), /njs\/nginx$/)
  assert.match(flag('--pid-path'), /state\/nginx\.pid$/)
  assert.deepEqual(readdirSync(folder, { recursive: true }), before)
})

test('sources that the lock names are unpacked, and told', async (t) => {
  const { work, args } = await fakeSources(t, { nginx: { configure: CONFIGURE, 'src/nginx.c': 'int x;' } })
  const { status, stdout } = build('sources', ...args)
  assert.equal(status, 0)
  assert.match(stdout, /nginx 1\.99\.1: .*every checksum as in the lock/)
  assert.equal(readFileSync(join(work, 'src/nginx/src/nginx.c'), 'utf8'), 'int x;')
  assert.ok(existsSync(join(work, 'src/openssl/config')))
})

test('a file with another checksum is refused before anything of it is unpacked', async (t) => {
  const { folder, work, args } = await fakeSources(t)
  tarball(folder, 'openssl-3.9.1', { config: 'echo other' })
  for (const command of ['sources', 'build']) {
    const { status, stderr } = build(command, ...args)
    assert.equal(status, 1)
    assert.match(stderr, /openssl-3\.9\.1\.tar\.gz is not the file that the lock names/)
  }
  const dry = build('--dry-run', ...args)
  assert.equal(dry.status, 1)
  assert.ok(!existsSync(join(work, 'src')))
})

test('what the lock names first is taken if it is there, the next one with a word of warning, and nothing else', async (t) => {
  const { folder, lock, args } = await fakeSources(t)
  const next = tarball(folder, 'nginx-1.98.0', { configure: CONFIGURE })
  const [first, ...others] = readFileSync(lock, 'utf8').trim().split('\n')
  const older = `nginx 1.98.0 given nginx-1.98.0.tar.gz ${sha256(next)}`
  writeFileSync(lock, [first, older, ...others].join('\n'))
  assert.match(build('sources', ...args).stdout, /^nginx 1\.99\.1: /m)
  spawnSync('rm', [join(folder, 'nginx-1.99.1.tar.gz')])
  const { status, stdout, stderr } = build('sources', ...args)
  assert.equal(status, 0)
  assert.match(stdout, /^nginx 1\.98\.0: /m)
  assert.match(stderr, /the lock's newest nginx is 1\.99\.1, but it could not be had/)
  spawnSync('rm', [next])
  const none = build('sources', ...args)
  assert.equal(none.status, 1)
  assert.match(none.stderr, /none of the lock's versions of nginx could be had: 1\.99\.1 1\.98\.0/)
})

test('a source package of Debian is unpacked by dpkg-source, which checks it once more', async (t) => {
  if (!has('dpkg-source')) return t.skip('dpkg-source is not installed')
  const { folder, lock, work, args } = await fakeSources(t)
  const tree = join(folder, 'nginx-2.0')
  mkdirSync(join(tree, 'debian/source'), { recursive: true })
  writeFileSync(join(tree, 'configure'), CONFIGURE, { mode: 0o755 })
  const person = 'Test <test@example.org>'
  writeFileSync(
    join(tree, 'debian/control'),
    `Source: nginx\nMaintainer: ${person}\n\nPackage: nginx\nArchitecture: all\nDescription: none\n`,
  )
  const changed = `nginx (2.0) unstable; urgency=low\n\n  * None.\n\n -- ${person}  Mon, 23 Nov 2026 00:00:00 +0000\n`
  writeFileSync(join(tree, 'debian/changelog'), changed)
  writeFileSync(join(tree, 'debian/source/format'), '3.0 (native)\n')
  assert.equal(spawnSync('dpkg-source', ['-b', 'nginx-2.0'], { cwd: folder }).status, 0)
  const others = readFileSync(lock, 'utf8').replace(/^nginx.*\n/, '')
  const enter = () =>
    writeFileSync(
      lock,
      ['nginx_2.0.dsc', 'nginx_2.0.tar.xz']
        .map((file) => `nginx 2.0 deb:sid ${file} ${sha256(join(folder, file))}\n`)
        .join('') + others,
    )
  enter()
  const right = build('sources', ...args)
  assert.equal(right.status, 0, right.stderr)
  assert.equal(readFileSync(join(work, 'src/nginx/configure'), 'utf8'), CONFIGURE)
  assert.match(right.stderr, /maintainer's signature was not checked/)
  // The lock is deceived as well: the .dsc is not.
  writeFileSync(join(folder, 'nginx_2.0.tar.xz'), 'other')
  enter()
  const wrong = build('sources', ...args)
  assert.equal(wrong.status, 1)
  assert.match(wrong.stderr, /dpkg-source does not accept nginx_2\.0\.dsc/)
})

test('what is needed and not installed is named', async (t) => {
  const { args } = await fakeSources(t)
  const { status, stderr } = buildWith({ gcc: '#!/bin/sh\nexit 1\n' }, ...args)
  assert.equal(status, 1)
  assert.match(stderr, /not installed:.* libpcre2-dev zlib1g-dev libxslt1-dev libxml2-dev \(apt-get install/)
  assert.equal(buildWith({ gcc: '#!/bin/sh\nexit 1\n' }, ...args, '--dry-run').status, 0)
})

test('what makes no sense is refused in one sentence', async (t) => {
  const { folder, lock, args } = await fakeSources(t)
  const cases: [string[], RegExp, number][] = [
    [['--colour'], /there is no option --colour/, 2],
    [['--prefix'], /--prefix wants a value/, 2],
    [['--user', 'root'], /do not run as root/, 2],
    [['--user', 'a b'], /no name of a user/, 2],
    [['--jobs', '0'], /--jobs is a positive number/, 2],
    [['--prefix', '/opt/a b'], /--prefix: only letters/, 2],
    [['--conf', '/etc/$(id)'], /--conf: only letters/, 2],
    [['install'], /there is no command install/, 2],
    [['switch'], /switch wants the name/, 2],
    [['switch', '../x'], /switch wants the name/, 2],
    [['rollback', 'x'], /rollback takes no argument/, 2],
    [['switch', 'nginx-1'], /nginx-1 is not installed/, 1],
    [['rollback'], /there is no version before/, 1],
    [['--lock', join(folder, 'none')], /cannot read the lock/, 1],
  ]
  for (const [words, complaint, code] of cases) {
    const { status, stderr } = build(...args, ...words)
    assert.equal(status, code, `${words}: ${stderr}`)
    assert.match(stderr, complaint)
  }
  const good = readFileSync(lock, 'utf8')
  const sum = 'a'.repeat(64)
  for (const line of [
    'nginx 1.0 given ../nginx.tar.gz',
    `nginx 1.0 given ../nginx.tar.gz ${sum}`,
    `zlib 1.3 given zlib.tar.gz ${sum}`,
    `nginx 1.0 http://x nginx.tar.gz ${sum}`,
    `nginx 1.0 given nginx.tar.gz ${sum.slice(1)}`,
  ]) {
    writeFileSync(lock, `${good}${line}\n`)
    assert.match(build('sources', ...args).stderr, /the lock has a line that is none/, line)
  }
  writeFileSync(lock, good.replace(/^njs.*\n/m, ''))
  assert.match(build('sources', ...args).stderr, /the lock names no njs/)
})

/** A tarball whose make leaves a program that says of itself what `says` prints. */
const fakeNginx = (says: string) => ({
  configure: `#!/bin/sh\nprintf '%s\\n' "$@" >asked\n`,
  'conf/mime.types': '',
  Makefile: `TO = $(DESTDIR)$(shell sed -n 's/^--prefix=//p' asked)
all:
\ttrue
install:
\tmkdir -p $(TO)/sbin $(TO)/modules
\tcp program $(TO)/sbin/nginx
\tcp asked $(TO)/
`,
  program: `#!/bin/sh\n${says}\n`,
})
const SAYS_ALL = `echo "nginx version: nginx/1.99.1"; echo "built with OpenSSL 3.9.1 today"
printf 'configure arguments:'
while read -r line; do case $line in *' '*) printf " %s='%s'" "\${line%%=*}" "\${line#*=}" ;; *) printf ' %s' "$line" ;; esac; done <"$(dirname "$0")/../asked"
echo`
const FAKE_OPENSSL = { config: '', '.openssl/bin/openssl': '#!/bin/sh\n' }
const TOOLS = ['make', 'perl', 'dpkg-source', 'readelf']

test('a program that lacks a module, a version or its hardening is not installed', async (t) => {
  if (!TOOLS.every(has)) return t.skip('make, perl, dpkg-source or readelf is not installed')
  const cases: [string, RegExp][] = [
    [
      SAYS_ALL.replace("printf ' %s'", '[ "$line" = --with-http_dav_module ] || printf \' %s\''),
      /does not name what was asked for: --with-http_dav_module/,
    ],
    [SAYS_ALL.replace('OpenSSL 3.9.1', 'OpenSSL 3.0.2'), /does not name openssl 3\.9\.1/],
    [SAYS_ALL, /sbin\/nginx is no program/],
  ]
  for (const [says, complaint] of cases) {
    const { prefix, args } = await fakeSources(t, { nginx: fakeNginx(says), openssl: FAKE_OPENSSL })
    // Nothing of the tarballs is compiled, so neither a compiler nor a library has to be here.
    const { status, stderr } = buildWith({ gcc: '#!/bin/sh\n' }, ...args)
    assert.equal(status, 1)
    assert.match(stderr, complaint)
    assert.ok(!existsSync(prefix))
  }
})
