// A file store with a real nginx in front of it, in a folder of its own: two doors to one store.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { findNginx, installedNginx, NginxError } from '../../edge/nginx/installed-nginx.ts'
import { SITE_FILES } from '../../edge/nginx/site.ts'
import { writeSite } from '../../edge/nginx/write-site.ts'
import { UploadForms } from '../../server/chat/attachments/upload-forms.ts'
import { systemClock } from '../../server/kit/clock.ts'
import { Closing } from '../../server/kit/closing.ts'
import type { Config } from '../../server/kit/config.ts'
import { configSchema } from '../../server/kit/config-schema.ts'
import { silentLog } from '../../server/kit/log.ts'
import { plainAddress, plainKey } from '../../server/kit/plain-addresses.ts'
import { systemRandom } from '../../server/kit/random.ts'
import { openSecrets, type Secrets } from '../../server/kit/secrets.ts'
import { UploadSignatures } from '../../server/kit/upload-signatures.ts'
import { type Platform, up } from '../../server/up.ts'
import type { Form } from '../client/tus.ts'
import { Outbox } from '../outbox.ts'
import { within } from '../within.ts'
import { type Answer, type Asked, Client } from './client.ts'
import { HeldPort } from './held-port.ts'
import { NginxProcess } from './nginx-process.ts'

export const DOORS = ['node', 'nginx'] as const
export type DoorName = (typeof DOORS)[number]

export type Signing = { readonly maxBytes?: number; readonly seconds?: number; readonly key?: Uint8Array }

/** 100 MB, on a host that does other things. */
const ANSWER_WITHIN_MS = 30_000

/** `HELIOGRAPH_NGINX=/path/to/nginx npm test -- nginx` tries another than the installed one. */
export const NGINX = process.env['HELIOGRAPH_NGINX'] ?? findNginx()

/** Whether nginx and its JavaScript module are there; if not, the test is skipped, or fails where none may be. */
export function hasNginx(t: TestContext): boolean {
  try {
    installedNginx(NGINX)
    return true
  } catch (error) {
    if (!(error instanceof NginxError) || process.env['CI'] === 'true') throw error
    t.skip('nginx or libnginx-mod-http-js is not installed')
    return false
  }
}

export type FrontedOptions = {
  /** Of what is written for nginx. */
  readonly change?: (httpConf: string) => string
  readonly config?: Readonly<Record<string, unknown>>
  /** What starts nginx: the program and its arguments come after it. */
  readonly before?: (filesFolder: string) => readonly string[]
}

type Parts = {
  readonly folder: string
  readonly platform: Platform
  readonly secrets: Secrets
  readonly held: HeldPort
  readonly nodePort: number
  readonly options: FrontedOptions
}

export class Fronted {
  readonly folder: string
  readonly platform: Platform
  readonly secrets: Secrets
  readonly ports: Readonly<Record<DoorName, number>>
  readonly #held: HeldPort
  readonly #options: FrontedOptions
  readonly #clients: Readonly<Record<DoorName, Client>>
  #nginx: NginxProcess | undefined
  #isClosed = false

  private constructor({ folder, platform, secrets, held, nodePort, options }: Parts) {
    const ca = readFileSync(platform.ready.tls.caPem)
    this.folder = folder
    this.platform = platform
    this.secrets = secrets
    this.ports = { node: nodePort, nginx: held.port }
    this.#held = held
    this.#options = options
    this.#clients = { node: new Client(nodePort, ca), nginx: new Client(held.port, ca) }
  }

  /** Lives as long as the test, which may end while this is opened. What is opened is closed whatever fails. */
  static async open(t: TestContext, options: FrontedOptions = {}): Promise<Fronted> {
    const closing = new Closing()
    const opened = Fronted.#open(closing, options)
    t.after(async () => {
      await opened.catch(() => {})
      await closing.close()
    })
    return opened
  }

  static async #open(closing: Closing, options: FrontedOptions): Promise<Fronted> {
    const folder = await mkdtemp(join(tmpdir(), 'helio-nginx-'))
    closing.add({ close: () => rm(folder, { recursive: true, force: true, maxRetries: 5 }) })
    const held = closing.add(await HeldPort.open())
    const bugs: unknown[] = []
    closing.add({
      close() {
        if (bugs.length > 0) throw new Error(`the server met bugs: ${JSON.stringify(bugs)}`)
      },
    })
    const { platform, config } = await upSomewhere(folder, held.port, options.config ?? {}, bugs)
    closing.add(platform)
    await writeSite({ config, folder: join(folder, 'nginx'), binary: NGINX })
    const conf = join(folder, 'nginx', SITE_FILES.http)
    if (options.change) await writeFile(conf, options.change(await readFile(conf, 'utf8')))
    const secrets = await openSecrets(config.secrets)
    const nodePort = config.listen.port
    const fronted = new Fronted({ folder, platform, secrets, held, nodePort, options })
    closing.add({ close: () => fronted.#close() })
    await fronted.startNginx()
    return fronted
  }

  get data(): string {
    return join(this.folder, 'data')
  }
  get files(): string {
    return join(this.data, 'files')
  }

  ask(door: DoorName, asked: Asked): Promise<Answer> {
    return within(this.#clients[door].ask(asked), `${asked.method} ${asked.target}`, ANSWER_WITHIN_MS)
  }

  /** For clients of the suite that find their way by the ready file: everything at nginx. */
  get ready() {
    const url = `https://localhost:${this.ports.nginx}`
    const urls = { ...this.platform.ready.urls, ...cdnsAt(this.ports.nginx), chat: url, storage: url }
    return { ...this.platform.ready, urls }
  }

  codeFor(number: string): Promise<string> {
    return new Outbox(this.platform.ready.outbox).codeFor(number)
  }

  /** Of CDN 3, as the chat server gives it out. */
  form(maxBytes: number): Form {
    const forms = new UploadForms({
      signatures: new UploadSignatures(this.secrets.uploads, systemClock),
      urls: () => this.ready.urls,
      random: systemRandom,
    })
    const { key, headers, signedUploadLocation } = forms.attachment(maxBytes, 3)
    return { key, headers, location: signedUploadLocation }
  }

  get plainKey(): Buffer {
    return plainKey(this.secrets.uploads.signing(Date.now()).bearerKey)
  }

  sign(name: string, { maxBytes = 1000, seconds = 600, key = this.plainKey }: Signing = {}): string {
    return plainAddress(key, { name, maxBytes, expiresAtS: Math.floor(Date.now() / 1000) + seconds })
  }

  /** What lies below `objects`, and what is on its way, by path from the folder of files. */
  async stored(part = 'objects'): Promise<string[]> {
    const entries = await readdir(join(this.files, part), { recursive: true, withFileTypes: true })
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(this.files.length + 1))
  }

  /** Of nginx: its master, and whoever works for it. */
  get pids(): number[] {
    return this.#nginx?.pids ?? []
  }

  async startNginx(): Promise<void> {
    const conf = join(this.folder, 'nginx', 'nginx.conf')
    const before = this.#options.before?.(this.files) ?? []
    const command = [...before, NGINX, '-c', conf, '-g', 'daemon off;', '-e', 'stderr']
    if (this.#isClosed) throw new Error('its test has ended')
    this.#nginx = new NginxProcess({ command, fd: this.#held.fd })
    await this.#nginx.working()
  }

  /** At once, with everything that works for it. */
  async killNginx(): Promise<void> {
    await this.#nginx?.end('SIGKILL')
    this.#clients.nginx.close()
  }

  async #close(): Promise<void> {
    this.#isClosed = true
    for (const client of Object.values(this.#clients)) client.close()
    await this.#nginx?.end('SIGTERM')
  }
}

const cdnsAt = (port: number) => {
  const url = `https://localhost:${port}`
  return { cdn0: `${url}/cdn0`, cdn2: `${url}/cdn2`, cdn3: `${url}/cdn3` }
}

const TRIES = 10

/** nginx is told of a port before the server has it: if somebody else takes it in between, of another. */
async function upSomewhere(
  folder: string,
  nginxPort: number,
  { listen, files, ...more }: Readonly<Record<string, unknown>>,
  bugs: unknown[],
): Promise<{ platform: Platform; config: Config }> {
  const data = join(folder, 'data')
  const log = { ...silentLog, error: (...about: unknown[]) => void bugs.push(about) }
  for (let left = TRIES; ; left--) {
    const parsed = configSchema.parse({
      roles: ['files'],
      ...more,
      data,
      listen: { ...(listen as object), host: '127.0.0.1', port: await freePort() },
      files: { ...(files as object), urls: cdnsAt(nginxPort) },
      edge: { nginx: { host: '127.0.0.1', port: nginxPort } },
    })
    const config = { ...parsed, secrets: join(data, 'secrets') }
    try {
      return { platform: await up(config, { log, onFatal: (error) => bugs.push(error) }), config }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || left === 1) throw error
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}
