// `heliograph openapi`: the REST contract for other people's tools.
import { openApi } from '../../wire/openapi.ts'
import { type Command, readFlags } from '../kit/command.ts'

export const command: Command = {
  help: 'openapi          prints the REST contract as an OpenAPI document',
  async run(args) {
    readFlags(args, {})
    const { default: about } = await import('../../package.json', { with: { type: 'json' } })
    process.stdout.write(`${JSON.stringify(openApi(about.version), null, 2)}\n`)
  },
}
