// `heliograph registration`: the emergency stop, and who may come in.
import { z } from 'zod'
import { type Command, CommandError, readFlags, WHERE, WHERE_HELP } from '../kit/command.ts'
import { loadConfig } from '../kit/config.ts'
import { askServer } from '../kit/control.ts'

const room = z.object({ diskBytes: z.number().nullable(), memoryBytes: z.number().nullable() })
const status = z.object({
  mode: z.enum(['open', 'invite', 'closed']),
  heldBy: z.enum(['operator', 'disk', 'memory']).nullable(),
  stoppedSinceMs: z.number().nullable(),
  free: room,
  least: room,
})
type Status = z.output<typeof status>

const MODES: Readonly<Record<Status['mode'], string>> = {
  open: 'everybody may register',
  invite: 'who was invited may register',
  closed: 'nobody new may register',
}

const mib = (bytes: number | null): string => (bytes === null ? '?' : String(Math.floor(bytes / 2 ** 20)))

function heldLine({ heldBy, stoppedSinceMs }: Status): string {
  if (heldBy === null) return 'New accounts are let in.'
  if (heldBy === 'operator') return `Stopped by hand since ${new Date(stoppedSinceMs ?? 0).toISOString()}.`
  return `Nobody new is let in: there is too little ${heldBy === 'disk' ? 'room on the disk' : 'memory'}.`
}

const screen = (now: Status): string =>
  [
    `Mode ${now.mode}: ${MODES[now.mode]}.`,
    heldLine(now),
    `Disk free ${mib(now.free.diskBytes)} MiB (at least ${mib(now.least.diskBytes)}), memory ${mib(now.free.memoryBytes)} MiB (at least ${mib(now.least.memoryBytes)}).`,
    '',
  ].join('\n')

export const command: Command = {
  help: `registration stop [options]
                            emergency: nobody new comes in, no code is sent, until it is started again
heliograph registration start [options]
                            ends the stop
heliograph registration status [options]
                            who may come in, and what holds them up
${WHERE_HELP}
  --json                    for scripts`,
  async run(args) {
    const { values, positionals } = readFlags(args, { ...WHERE, json: { type: 'boolean' } }, 1)
    const [what] = positionals
    if (what === undefined || !/^(stop|start|status)$/.test(what))
      throw new CommandError(
        'Say what: heliograph registration stop, start or status (see: heliograph help).',
      )
    const { data } = loadConfig(values.config, { data: values.data })
    const now = await askServer(data, `registration ${what}`, null, status)
    process.stdout.write(values.json ? `${JSON.stringify(now)}\n` : screen(now))
  },
}
