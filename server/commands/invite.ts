// `heliograph invite`: lets people in who hold a link.
import { z } from 'zod'
import { isLoopbackHost } from '../kit/address.ts'
import { type Command, CommandError, readFlags, readNumber, WHERE, WHERE_HELP } from '../kit/command.ts'
import { loadConfig } from '../kit/config.ts'
import { askServer } from '../kit/control.ts'

const MAX_USES = 10_000
const MAX_DAYS = 366
const DEFAULT_DAYS = 7

const told = z.object({
  id: z.string(),
  createdAtMs: z.number(),
  expiresAtMs: z.number(),
  uses: z.number(),
  usesLeft: z.number(),
  number: z.string().nullable(),
  note: z.string(),
})
const made = told.extend({
  server: z.string(),
  fingerprint: z.string(),
  code: z.string(),
  link: z.string(),
  digits: z.string().nullable(),
})
type Told = z.output<typeof told>
type Made = z.output<typeof made>

const text = { type: 'string' } as const
const OPTIONS = {
  ...WHERE,
  uses: text,
  days: text,
  number: text,
  note: text,
  json: { type: 'boolean' },
} as const
type Values = ReturnType<typeof readFlags<typeof OPTIONS>>['values']

const dateOf = (ms: number): string => new Date(ms).toISOString().slice(0, 16).replace('T', ' ')

function lineOf({ id, expiresAtMs, uses, usesLeft, number, note }: Told): string {
  const whom = [number, note].filter(Boolean).join('  ')
  return `${id}  ${usesLeft} of ${uses} left  until ${dateOf(expiresAtMs)}  ${whom}`.trimEnd()
}

const times = (uses: number): string => (uses === 1 ? 'once' : `${uses} times`)

const ONLY_HERE = 'It names this host only: with listen.url in the configuration it names what others reach.'

async function screenOf(invite: Made): Promise<string> {
  const { default: qrcode } = await import('qrcode')
  // With colours of its own where there are any: scanners dislike a picture whose dark is light.
  const form = process.stdout.isTTY
    ? ({ type: 'terminal', small: true } as const)
    : ({ type: 'utf8' } as const)
  const picture = await qrcode.toString(invite.link, { ...form, errorCorrectionLevel: 'L' })
  const { digits, number } = invite
  const short =
    digits === null ? [] : [`  digits         ${digits}   what the app takes as its code for ${number}`]
  return [
    picture,
    `  link           ${invite.link}`,
    ...short,
    `  server         ${invite.server}`,
    `  authority      SHA-256 ${invite.fingerprint}`,
    `  good           ${times(invite.uses)}, until ${dateOf(invite.expiresAtMs)} UTC`,
    `  take it back   heliograph invite revoke ${invite.id}`,
    '',
    'Whoever has the link can come in with it. It is shown now, and never again.',
    ...(isLoopbackHost(new URL(invite.link).hostname) ? [ONLY_HERE] : []),
    '',
  ].join('\n')
}

async function create(data: string, values: Values): Promise<void> {
  const uses = readNumber('uses', values.uses, 1, MAX_USES) ?? 1
  const days = readNumber('days', values.days, 1, MAX_DAYS) ?? DEFAULT_DAYS
  const asked = { uses, days, number: values.number ?? null, note: values.note ?? '' }
  const invite = await askServer(data, 'invite create', asked, made)
  process.stdout.write(values.json ? `${JSON.stringify(invite)}\n` : await screenOf(invite))
}

async function list(data: string, values: Values): Promise<void> {
  const invites = await askServer(data, 'invite list', null, z.array(told))
  const lines = invites.length === 0 ? ['There are no invites.'] : invites.map(lineOf)
  process.stdout.write(values.json ? `${JSON.stringify(invites)}\n` : `${lines.join('\n')}\n`)
}

async function revoke(data: string, id: string, values: Values): Promise<void> {
  await askServer(data, 'invite revoke', { id }, z.null())
  process.stdout.write(
    values.json ? `${JSON.stringify({ revoked: id })}\n` : `Nobody comes in by ${id} any more.\n`,
  )
}

export const command: Command = {
  help: `invite create [options]
                            a link that lets somebody register, with a QR code
  --uses N                  how many may come in by it (1)
  --days D                  for how long (7)
  --number +…               for this phone number alone, with its six digits
  --note …                  for whom it is, for the list
heliograph invite list [options]
                            what was made, and what is left of it
heliograph invite revoke ID [options]
                            nobody comes in by it any more
${WHERE_HELP}
  --json                    for scripts`,
  async run(args) {
    const { values, positionals } = readFlags(args, OPTIONS, 2)
    const [what, id] = positionals
    const { data } = loadConfig(values.config, { data: values.data })
    if (what === 'create' && id === undefined) return create(data, values)
    if (what === 'list' && id === undefined) return list(data, values)
    if (what === 'revoke' && id !== undefined) return revoke(data, id, values)
    throw new CommandError('Say what: heliograph invite create, list or revoke ID (see: heliograph help).')
  },
}
