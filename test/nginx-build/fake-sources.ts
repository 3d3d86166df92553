// Small tarballs with a lock that names them, and the script run on them: nothing is downloaded or compiled.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { temporaryFolder } from '../engines.ts'

const SCRIPT = join(import.meta.dirname, '../../edge/nginx/build/build.sh')

export const has = (program: string) => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0
export const sha256 = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex')

export const build = (...args: string[]) => buildWith({}, ...args)

/** With these programs in the place of the machine's. */
export function buildWith(programs: Readonly<Record<string, string>>, ...args: string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'helio-programs-'))
  for (const [name, text] of Object.entries(programs))
    writeFileSync(join(folder, name), text, { mode: 0o755 })
  const env = { ...process.env, PATH: `${folder}:${process.env['PATH']}` }
  const { status, stdout, stderr } = spawnSync('sh', [SCRIPT, ...args], { encoding: 'utf8', env })
  rmSync(folder, { recursive: true })
  return { status, stdout, stderr }
}

/** A tarball of these files below one folder. */
export function tarball(folder: string, name: string, files: Readonly<Record<string, string>>): string {
  const inner = join(folder, 'tree', name)
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(inner, path, '..'), { recursive: true })
    writeFileSync(join(inner, path), text, { mode: 0o755 })
  }
  const path = join(folder, `${name}.tar.gz`)
  const { status } = spawnSync('tar', ['-czf', path, '-C', join(folder, 'tree'), name])
  assert.equal(status, 0)
  return path
}

export const CONFIGURE = '#!/bin/sh\nprintf "%s\\n" "$@" >asked\n'
type Fakes = Readonly<Partial<Record<string, Readonly<Record<string, string>>>>>

/** A folder with three small tarballs, and a lock that names them. */
export async function fakeSources(t: TestContext, fakes: Fakes = {}) {
  const folder = await temporaryFolder(t)
  const made = [
    ['nginx', '1.99.1', fakes['nginx'] ?? { configure: CONFIGURE }],
    ['openssl', '3.9.1', fakes['openssl'] ?? { config: '' }],
    ['njs', '1.9.1', fakes['njs'] ?? { configure: '' }],
  ] as const
  const lines = made.map(([component, version, files]) => {
    const path = tarball(folder, `${component}-${version}`, files)
    return `${component} ${version} given ${component}-${version}.tar.gz ${sha256(path)}`
  })
  const lock = join(folder, 'lock')
  writeFileSync(lock, `${lines.join('\n')}\n`)
  const work = join(folder, 'work')
  const args = [
    '--offline',
    '--sources',
    folder,
    '--lock',
    lock,
    '--work',
    work,
    '--prefix',
    join(folder, 'prefix'),
  ]
  const all = [...args, '--state', join(folder, 'state'), '--conf', join(folder, 'nginx.conf')]
  return { folder, lock, work, prefix: join(folder, 'prefix'), args: all }
}
