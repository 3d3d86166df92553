// `heliograph secrets rotate uploads`: new keys for what lets clients upload, while the server runs.
import { z } from 'zod'
import { type Command, CommandError, readFlags, WHERE, WHERE_HELP } from '../kit/command.ts'
import { loadConfig } from '../kit/config.ts'
import { askServer } from '../kit/control.ts'

const answer = z.object({ signsFromMs: z.number() })

export const command: Command = {
  help: `secrets rotate uploads [options]
                            new keys for upload forms; what the old ones signed ends by itself
${WHERE_HELP}
  --forget-old              the old ones leaked: nothing they signed is good any more`,
  async run(args) {
    const options = { ...WHERE, 'forget-old': { type: 'boolean' } } as const
    const { values, positionals } = readFlags(args, options, 2)
    if (positionals.join(' ') !== 'rotate uploads')
      throw new CommandError('Say what: heliograph secrets rotate uploads (see: heliograph help).')
    const { data } = loadConfig(values.config, { data: values.data })
    const forgetOld = values['forget-old'] ?? false
    const { signsFromMs } = await askServer(data, 'secrets rotate uploads', { forgetOld }, answer)
    const fate = forgetOld ? 'What the old ones signed is refused' : 'What the old ones signed ends by itself'
    process.stdout.write(`New upload keys sign from ${new Date(signsFromMs).toISOString()}. ${fate}.\n`)
  },
}
