// The file store as a child process that is killed and started again on the same data.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openCertificates } from '../../server/kit/certificates.ts'
import { systemClock } from '../../server/kit/clock.ts'
import { UploadKeyRing } from '../../server/kit/upload-keys.ts'
import { Line } from '../client/line.ts'
import type { HttpVersion } from '../client/net.ts'
import { Doors, type FilesServer } from '../files/doors.ts'
import { within } from '../within.ts'
import { CRASH_KEYS } from './crash-keys.ts'
import type { Birth, Up, Used } from './files-only.ts'

const PROGRAM = join(import.meta.dirname, 'files-only.ts')

export class FilesProcess implements FilesServer, AsyncDisposable {
  readonly #folder: string
  readonly #caPem: string
  readonly #tls: Birth['tls']
  #child: ChildProcess | undefined
  #port = 0

  private constructor(folder: string, caPem: string, tls: Birth['tls']) {
    this.#folder = folder
    this.#caPem = caPem
    this.#tls = tls
  }

  static async start(): Promise<FilesProcess> {
    const folder = await mkdtemp(join(tmpdir(), 'helio-files-crash-'))
    const folders = { secretsFolder: join(folder, 'secrets'), dataFolder: folder }
    const made = await openCertificates({ ...folders, hosts: ['127.0.0.1'], nowMs: systemClock.nowMs() })
    const tls = { keyFile: join(folder, 'key.pem'), certFile: join(folder, 'cert.pem') }
    await writeFile(tls.keyFile, made.key)
    await writeFile(tls.certFile, made.cert)
    const started = new FilesProcess(folder, made.caPemFile, tls)
    await started.restart()
    return started
  }

  get data(): string {
    return join(this.#folder, 'data')
  }

  get ready(): FilesServer['ready'] {
    return { urls: { cdn3: `https://localhost:${this.#port}/cdn3` }, tls: { caPem: this.#caPem, caDer: '' } }
  }

  doors(httpVersion: HttpVersion): Doors {
    return new Doors(this, new Line(this.ready, httpVersion), UploadKeyRing.of(CRASH_KEYS))
  }

  /** Resolves when nothing of it runs any more. */
  async kill(): Promise<void> {
    const child = this.#child
    if (!child) return
    this.#child = undefined
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await within(ended, 'the file store to end')
  }

  /** With a clock that is so far ahead. */
  async restart(aheadMs = 0): Promise<void> {
    await this.kill()
    const birth: Birth = { data: this.data, tls: this.#tls, aheadMs }
    const child = fork(PROGRAM, [JSON.stringify(birth)], { execArgv: ['--no-warnings'] })
    this.#child = child
    this.#port = (await within(this.#told<Up>(child), 'the file store to be up')).port
  }

  /** What it thinks that its files take. */
  async usedBytes(): Promise<number> {
    const told = this.#told<Used>(this.#child!)
    this.#child!.send({})
    return (await within(told, 'the file store to tell')).usedBytes
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
    await rm(this.#folder, { recursive: true, force: true })
  }

  async #told<T>(child: ChildProcess): Promise<T> {
    const ended = once(child, 'exit').then(() => {
      throw new Error('the file store ended')
    })
    ended.catch(() => {})
    return (await Promise.race([once(child, 'message'), ended]))[0] as T
  }
}
