// `heliograph`: what a person or a script types. Each command is a file of `commands/`, loaded when it is asked for.
import { type Command, sentenceOf } from './kit/command.ts'

type Loaded = { readonly command: Command }

/** In the order of the help. */
const COMMANDS: Readonly<Record<string, () => Promise<Loaded>>> = {
  up: () => import('./commands/up.ts'),
  invite: () => import('./commands/invite.ts'),
  registration: () => import('./commands/registration.ts'),
  push: () => import('./commands/push.ts'),
  status: () => import('./commands/status.ts'),
  secrets: () => import('./commands/secrets.ts'),
  edge: () => import('./commands/edge.ts'),
  openapi: () => import('./commands/openapi.ts'),
}

/** Ends the process with one sentence for the person who typed the command. */
function refuse(sentence: string): never {
  process.stderr.write(`heliograph: ${sentence}\n`)
  process.exit(1)
}

async function help(): Promise<string> {
  const loaded = await Promise.all(Object.values(COMMANDS).map((load) => load()))
  const texts = loaded.map(({ command }) => `heliograph ${command.help}`.replaceAll(/^/gm, '  '))
  return `heliograph: a Signal that you run yourself\n\n${texts.join('\n\n')}\n\n  heliograph help             prints this\n`
}

const [name = 'help', ...args] = process.argv.slice(2)
const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
if (load) {
  await load()
    .then(({ command }) => command.run(args))
    .catch((error) => refuse(sentenceOf(error)))
} else if (/^(help|--help|-h)$/.test(name)) process.stdout.write(await help())
else refuse(`There is no command "${name}" (see: heliograph help).`)
