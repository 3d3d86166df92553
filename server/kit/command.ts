// What the commands of `heliograph` share: how they are described, read their flags and end with one sentence.
import { type ParseArgsOptionsConfig, parseArgs } from 'node:util'
import { ConfigError } from './config.ts'
import { ControlError } from './control.ts'
import { SecretsError } from './secrets.ts'
import { StorageError } from './sql/storage-error.ts'

export type Command = {
  /** For `heliograph help`: a line for the command, then one for each option, without a margin. */
  readonly help: string
  /** Throws `CommandError`, or whatever a person can read (`sentenceOf`). */
  run(args: string[]): Promise<void>
}

/** One sentence for the person who typed the command. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
}

const text = { type: 'string' } as const
/** What every command takes that speaks to a running server, or reads its configuration. */
export const WHERE = { data: text, config: text } as const
export const WHERE_HELP = `  --data DIR                the server's state (./data)
  --config FILE             the server's configuration`

/** The flags, and what stands between them: at most `words`. Throws `CommandError`. */
export function readFlags<const Options extends ParseArgsOptionsConfig>(
  args: string[],
  options: Options,
  words = 0,
) {
  try {
    const read = parseArgs({ args, options, allowPositionals: words > 0 })
    if (read.positionals.length > words)
      throw new CommandError(`What is "${read.positionals[words]}" (see: heliograph help)?`)
    return read
  } catch (error) {
    throw new CommandError(`${(error as Error).message} (see: heliograph help)`)
  }
}

/** A whole number from `min` to `max`, or nothing if the flag was not given. Throws `CommandError`. */
export function readNumber(flag: string, value: string | undefined, min: number, max: number) {
  if (value === undefined) return undefined
  if (/^\d{1,15}$/.test(value) && Number(value) >= min && Number(value) <= max) return Number(value)
  throw new CommandError(`--${flag} needs a number from ${min} to ${max}.`)
}

const READABLE = [CommandError, ConfigError, ControlError, SecretsError, StorageError]

/** What went wrong, for a person. */
export function sentenceOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  if (READABLE.some((kind) => error instanceof kind)) return message
  return code === 'EACCES' ? `Not allowed: ${message}.` : `Cannot go on: ${message}`
}
