// `heliograph edge nginx`: writes the configuration of an nginx in front of this Heliograph.
import { NginxError } from '../../edge/nginx/installed-nginx.ts'
import { writeSite } from '../../edge/nginx/write-site.ts'
import { type Command, CommandError, readFlags } from '../kit/command.ts'
import { loadConfig } from '../kit/config.ts'

const text = { type: 'string' } as const

export const command: Command = {
  help: `edge nginx --out DIR   writes the configuration of an nginx in front (docs/edge/nginx.md)
  --data DIR                the server's state (./data)
  --config FILE             the server's configuration; its edge.nginx says what nginx listens on
  --nginx PROGRAM           the nginx to write it for; the installed one if not given`,
  async run(args) {
    const { values, positionals } = readFlags(args, { data: text, config: text, out: text, nginx: text }, 1)
    if (positionals[0] !== 'nginx')
      throw new CommandError('heliograph edge knows "nginx" (see: heliograph help).')
    if (values.out === undefined) throw new CommandError('--out says where the configuration is written to.')
    const config = loadConfig(values.config, { data: values.data })
    const written = await writeSite({ config, folder: values.out, binary: values.nginx }).catch((error) => {
      throw error instanceof NginxError ? new CommandError(error.message) : error
    })
    process.stdout.write(`${written.summary}\n`)
  },
}
