// `heliograph status`: how the running server does.
import { z } from 'zod'
import { type Command, readFlags, WHERE, WHERE_HELP } from '../kit/command.ts'
import { loadConfig } from '../kit/config.ts'
import { askServer } from '../kit/control.ts'

const status = z.object({
  pid: z.number(),
  upSeconds: z.number(),
  memoryMiB: z.number(),
  roles: z.array(z.string()),
  push: z
    .object({
      answers: z.boolean(),
      providers: z.array(
        z.object({
          provider: z.string(),
          state: z.enum(['up', 'down', 'unknown']),
          reason: z.string().optional(),
        }),
      ),
    })
    .nullable(),
  counters: z.record(z.string(), z.number()),
})

type Status = z.output<typeof status>

const STATES = { up: 'answers', down: 'does not answer', unknown: 'was not asked yet' }

function pushLines(push: Status['push']): string[] {
  if (!push) return ['Push: not configured; devices are not woken.']
  if (!push.answers) return ['Push: the gateway does not answer; what is due waits.']
  if (push.providers.length === 0) return ['Push: the gateway has no provider; devices are not woken.']
  const lines = push.providers.map(
    ({ provider, state, reason }) =>
      `  ${provider.padEnd(4)} ${STATES[state]}${reason === undefined ? '' : ` (${reason})`}`,
  )
  return ['Push providers:', ...lines]
}

function screen({ pid, upSeconds, memoryMiB, roles, push, counters }: Status): string {
  const counted = Object.entries(counters).map(([name, count]) => `  ${name.padEnd(44)} ${count}`)
  return [
    `Heliograph is up: process ${pid}, for ${upSeconds} s, ${memoryMiB} MiB, ${roles.join(', ')}`,
    ...pushLines(push),
    ...(counted.length > 0 ? ['Since its start:', ...counted] : []),
    '',
  ].join('\n')
}

export const command: Command = {
  help: `status [options]  tells how the running server does
${WHERE_HELP}
  --json                    for scripts`,
  async run(args) {
    const { values } = readFlags(args, { ...WHERE, json: { type: 'boolean' } })
    const { data } = loadConfig(values.config, { data: values.data })
    const now = await askServer(data, 'status', null, status)
    process.stdout.write(values.json ? `${JSON.stringify(now)}\n` : screen(now))
  },
}
