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
  counters: z.record(z.string(), z.number()),
})

function screen({ pid, upSeconds, memoryMiB, roles, counters }: z.output<typeof status>): string {
  const counted = Object.entries(counters).map(([name, count]) => `  ${name.padEnd(44)} ${count}`)
  return [
    `Heliograph is up: process ${pid}, for ${upSeconds} s, ${memoryMiB} MiB, ${roles.join(', ')}`,
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
