// `heliograph up`: starts every part in one process, and stops it on a signal.
import { open, rename } from 'node:fs/promises'
import { type Command, CommandError, readFlags, readNumber, sentenceOf } from '../kit/command.ts'
import { type Config, loadConfig, registrationModeOf } from '../kit/config.ts'
import { createLog } from '../kit/log.ts'
import { type Platform, type Ready, type UrlName, up } from '../up.ts'

const MAX_PORT = 65_535

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
  ['push', 'push gateway', 'wakes devices that are configured to be woken'],
  ['captcha', 'captcha', 'tells people from many machines; /captcha/registration'],
]
const partsOf = ({ urls }: Ready): string =>
  PARTS.filter(([name]) => urls[name] !== undefined)
    .map(([name, title, about]) => `  ${title.padEnd(16)} ${urls[name]}   ${about}`)
    .join('\n')

/** Who may register, and what the operator types to let somebody in. */
const REGISTRATION = {
  open: 'open: everybody who proves a phone number (registration.mode)',
  invite: 'by invite: heliograph invite create',
  closed: 'closed: nobody new (registration.mode)',
} as const

function endScreen({ ready, fingerprint }: Platform, config: Config): string {
  return `
Heliograph is up.

${partsOf(ready)}
  state            ${config.data}
  authority        ${ready.tls.caPem}
                   SHA-256 ${fingerprint}
  codes            ${ready.outbox}
                   (registration codes go here: nothing is sent by SMS)
  registration     ${REGISTRATION[registrationModeOf(config)]}

Clients need the address, the authority and the keys in the ready file (--ready FILE).
Try next:  npm run demo      two people talk, are cut off, and lose nothing
           npm test          everything that can be tested on this machine
Stop with Ctrl-C.
`
}

function stopOnSignals(platform: Platform): void {
  let stopping = false
  const stop = () => {
    if (stopping) return
    stopping = true
    platform.close().then(
      () => process.exit(0),
      (error: Error) => fail(`Stopped with an error: ${error.message}`),
    )
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
}

/** For what goes wrong after the start. */
function fail(sentence: string): never {
  process.stderr.write(`heliograph: ${sentence}\n`)
  process.exit(1)
}

async function run(args: string[]): Promise<void> {
  const text = { type: 'string' } as const
  const { values } = readFlags(args, { data: text, port: text, host: text, config: text, ready: text })
  const { data, host, ready } = values
  const port = readNumber('port', values.port, 0, MAX_PORT)
  const config = loadConfig(values.config, { data, host, port })
  const platform = await up(config, {
    log: createLog({ level: config.log.level }),
    onFatal: (error) => fail(`Storage is lost: ${error.message}`),
  }).catch((error) => {
    throw explain(error, config.listen.port)
  })
  stopOnSignals(platform)
  if (ready !== undefined) await writeReady(ready, platform.ready)
  if (process.stdout.isTTY || ready === undefined) process.stdout.write(endScreen(platform, config))
}

function explain(error: unknown, port: number): Error {
  return (error as NodeJS.ErrnoException).code === 'EADDRINUSE'
    ? new CommandError(`Port ${port} is in use; choose another with --port.`)
    : new CommandError(sentenceOf(error))
}

export const command: Command = {
  help: `up [options]     starts every part in one process
  --data DIR                all state; made if missing (./data)
  --port N                  the one TLS port (8443; 0 takes any free one)
  --host ADDRESS            the address to listen on (127.0.0.1)
  --config FILE             YAML; docs/operating.md lists every key
  --ready FILE              written when every part accepts connections`,
  run,
}
