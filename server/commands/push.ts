// `heliograph push`: tries whether phones can be woken.
import { z } from 'zod'
import { type Command, CommandError, readFlags, WHERE, WHERE_HELP } from '../kit/command.ts'
import { loadConfig } from '../kit/config.ts'
import { askServer } from '../kit/control.ts'

const tested = z.array(
  z.object({
    deviceId: z.number(),
    by: z.enum(['apn', 'fcm', 'web']).nullable(),
    outcome: z.enum(['sent', 'unregistered', 'refused', 'unserved', 'later', 'fetches', 'unreachable']),
    reason: z.string().optional(),
    afterSeconds: z.number().optional(),
  }),
)
type Tested = z.output<typeof tested>[number]

const PROVIDERS = { apn: 'APNs', fcm: 'FCM', web: 'Web Push' }

function wordsOf({ outcome, reason, afterSeconds }: Tested): string {
  switch (outcome) {
    case 'sent':
      return 'sent: the provider took it'
    case 'unregistered':
      return 'unregistered: the provider does not know the device any more'
    case 'refused':
      return `refused: ${reason}`
    case 'unserved':
      return 'unserved: no such provider is configured'
    case 'later':
      return `later: the provider does not answer${afterSeconds ? `, or not before ${afterSeconds} s` : ''}`
    case 'fetches':
      return 'no way to be woken: it fetches by itself'
    case 'unreachable':
      return 'no way to be woken: it gave no token'
  }
}

function lineOf(device: Tested): string {
  const { deviceId, by } = device
  return `device ${deviceId}  ${(by ? PROVIDERS[by] : '').padEnd(8)}  ${wordsOf(device)}\n`
}

export const command: Command = {
  help: `push test ACCOUNT [options]
                            wakes the devices of an account (its number or ACI) now, and tells what the providers said
${WHERE_HELP}
  --json                    for scripts`,
  async run(args) {
    const { values, positionals } = readFlags(args, { ...WHERE, json: { type: 'boolean' } }, 2)
    const [what, account] = positionals
    if (what !== 'test' || account === undefined)
      throw new CommandError('Say whom: heliograph push test +… or an ACI (see: heliograph help).')
    const { data } = loadConfig(values.config, { data: values.data })
    const devices = await askServer(data, 'push test', { account }, tested)
    process.stdout.write(values.json ? `${JSON.stringify(devices)}\n` : devices.map(lineOf).join(''))
  },
}
