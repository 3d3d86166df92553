// `heliograph`: what a person or a script types. Everything that ends the process is here.
import { open, rename } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { ConfigError, loadConfig } from './kit/config.ts'
import { createLog } from './kit/log.ts'
import { SecretsError } from './kit/secrets.ts'
import { StorageError } from './kit/sql/storage-error.ts'
import { type Platform, type Ready, type UrlName, up } from './up.ts'

const HELP = `heliograph: a Signal that you run yourself

  heliograph up [options]     starts every part in one process
    --data DIR                all state; made if missing (./data)
    --port N                  the one TLS port (8443; 0 takes any free one)
    --host ADDRESS            the address to listen on (127.0.0.1)
    --config FILE             YAML; docs/operating.md lists every key
    --ready FILE              written when every part accepts connections

  heliograph openapi          prints the REST contract as an OpenAPI document
  heliograph help             prints this
`

/** Ends the process with one sentence for the person who typed the command. */
function refuse(sentence: string): never {
  process.stderr.write(`heliograph: ${sentence}\n`)
  process.exit(1)
}

function sentenceOf(error: unknown, port: number): string {
  const { code, message } = error as NodeJS.ErrnoException
  if (code === 'EADDRINUSE') return `Port ${port} is in use; choose another with --port.`
  if (code === 'EACCES') return `Not allowed: ${message}.`
  if (error instanceof ConfigError || error instanceof StorageError || error instanceof SecretsError)
    return message
  return `Cannot start: ${message}`
}

function readFlags(args: string[]) {
  const text = { type: 'string' } as const
  try {
    const { values } = parseArgs({
      args,
      options: { data: text, port: text, host: text, config: text, ready: text },
    })
    return values
  } catch (error) {
    refuse(`${(error as Error).message} (see: heliograph help)`)
  }
}

function readPort(value: string | undefined): number | undefined {
  if (value === undefined) return undefined
  if (/^\d{1,5}$/.test(value) && Number(value) <= 65_535) return Number(value)
  return refuse('--port needs a number from 0 to 65535.')
}

/** Written beside and renamed, so that whoever sees the file sees all of it. */
async function writeReady(file: string, ready: Ready): Promise<void> {
  const part = `${file}.part`
  const handle = await open(part, 'w', 0o600)
  await handle.writeFile(`${JSON.stringify(ready)}\n`)
  await handle.sync()
  await handle.close()
  await rename(part, file)
}

const PARTS: readonly (readonly [UrlName, string, string])[] = [
  ['chat', 'chat server', 'HTTP/1.1, HTTP/2, websockets, gRPC'],
  ['storage', 'storage service', 'encrypted records and groups'],
  ['cdn3', 'file store', 'attachments, backups, avatars, stickers'],
]
const partsOf = ({ urls }: Ready): string =>
  PARTS.filter(([name]) => urls[name] !== undefined)
    .map(([name, title, about]) => `  ${title.padEnd(16)} ${urls[name]}   ${about}`)
    .join('\n')

function endScreen({ ready, fingerprint }: Platform, data: string): string {
  return `
Heliograph is up.

${partsOf(ready)}
  state            ${data}
  authority        ${ready.tls.caPem}
                   SHA-256 ${fingerprint}
  codes            ${ready.outbox}
                   (registration codes go here: nothing is sent by SMS)

Clients need the address, the authority and the keys in the ready file (--ready FILE).
Try next:  npm run demo      two people talk, are cut off, and lose nothing
           npm test          everything that can be tested on this machine
Stop with Ctrl-C.
`
}

async function runUp(args: string[]): Promise<void> {
  const flags = readFlags(args)
  const port = readPort(flags.port)
  let listenPort = port ?? 0
  try {
    const config = loadConfig(flags.config, { data: flags.data, host: flags.host, port })
    listenPort = config.listen.port
    const log = createLog({ level: config.log.level })
    const platform = await up(config, {
      log,
      onFatal: (error) => refuse(`Storage is lost: ${error.message}`),
    })
    stopOnSignals(platform)
    if (flags.ready !== undefined) await writeReady(flags.ready, platform.ready)
    if (process.stdout.isTTY || flags.ready === undefined)
      process.stdout.write(endScreen(platform, config.data))
  } catch (error) {
    refuse(sentenceOf(error, listenPort))
  }
}

function stopOnSignals(platform: Platform): void {
  let stopping = false
  const stop = () => {
    if (stopping) return
    stopping = true
    platform.close().then(
      () => process.exit(0),
      (error: Error) => refuse(`Stopped with an error: ${error.message}`),
    )
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
}

/** Loaded when it is asked for: a server needs none of it. */
async function printOpenApi(): Promise<void> {
  const { openApi } = await import('../wire/openapi.ts')
  const { default: about } = await import('../package.json', { with: { type: 'json' } })
  process.stdout.write(`${JSON.stringify(openApi(about.version), null, 2)}\n`)
}

const [command = 'help', ...args] = process.argv.slice(2)
if (command === 'up') await runUp(args)
else if (command === 'openapi') await printOpenApi()
else if (command === 'help' || command === '--help' || command === '-h') process.stdout.write(HELP)
else refuse(`There is no command "${command}" (see: heliograph help).`)
