import { parseArgs } from 'node:util'
import type { Mode, Transport } from './job.ts'

const HELP = `npm run bench -- [options]
  --quick             about a minute in all
  --only floors|ours  one side only (ratios need both)
  --only credentials  what a week of group credentials for 100 clients at once does to messages
  --only storage      groups and records: what each operation takes, and what it does to messages
  --only files        uploads and downloads, MB/s and CPU for each MB, beside @tus/server and nginx
  --only push         100,000 phones woken through stand-ins that fail now and then (quick: 10,000)
  --seconds N         how long each measured phase lasts (6; quick: 1.5)
  --rounds N          every load this often, alternating; the tables show medians (1)
  --transport T       only h1, h2 or grpc
  --mode M            only identified or sealed
  --no-idle           leave out the idle connections
  --json FILE         all figures
  --node "FLAGS"       flags of Node for our server
  --profile FILE      our server under the CPU profiler, online messages only; read it with bench/profile.ts`

export type Options = {
  readonly quick: boolean
  readonly only: 'floors' | 'ours' | 'credentials' | 'storage' | 'files' | 'push' | undefined
  readonly seconds: number
  readonly rounds: number
  readonly transport: Transport | undefined
  readonly mode: Mode | undefined
  readonly idle: boolean
  readonly json: string | undefined
  readonly profile: string | undefined
  readonly node: readonly string[]
}

export function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string' },
      seconds: { type: 'string' },
      rounds: { type: 'string', default: '1' },
      transport: { type: 'string' },
      mode: { type: 'string' },
      'no-idle': { type: 'boolean', default: false },
      json: { type: 'string' },
      profile: { type: 'string' },
      node: { type: 'string', default: '' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    console.log(HELP)
    process.exit(0)
  }
  return {
    quick: values.quick,
    only: oneOf('--only', values.only, ['floors', 'ours', 'credentials', 'storage', 'files', 'push']),
    seconds: positive('--seconds', values.seconds ?? (values.quick ? '1.5' : '6')),
    rounds: positive('--rounds', values.rounds),
    transport: oneOf('--transport', values.transport, ['h1', 'h2', 'grpc']),
    mode: oneOf('--mode', values.mode, ['identified', 'sealed']),
    idle: !values['no-idle'],
    json: values.json,
    profile: values.profile,
    node: values.node.split(' ').filter(Boolean),
  }
}

function oneOf<T extends string>(
  name: string,
  value: string | undefined,
  allowed: readonly T[],
): T | undefined {
  if (value === undefined) return undefined
  const found = allowed.find((item) => item === value)
  return found ?? usage(`${name} is one of ${allowed.join(', ')}`)
}

function positive(name: string, text: string): number {
  const value = Number(text)
  return value > 0 ? value : usage(`${name} is a positive number`)
}

function usage(complaint: string): never {
  console.error(`${complaint}\n\n${HELP}`)
  process.exit(2)
}
