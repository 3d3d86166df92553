// What the operator reads: one line per event, with counts, durations and names, never anything about a user.

/** Counts, durations and names of our own. No user data, number, token, key or address. */
export type Fields = Readonly<Record<string, string | number | boolean>>

/** `error` means a bug. An event is a fixed phrase; what varies goes into the fields. */
export interface Log {
  debug(event: string, fields?: Fields): void
  info(event: string, fields?: Fields): void
  warn(event: string, fields?: Fields): void
  error(event: string, fields?: Fields): void
}

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

type Sink = { readonly isTTY?: boolean; write(line: string): unknown }
export type LogOptions = { readonly level: LogLevel; readonly sink?: Sink; readonly nowMs?: () => number }

type Line = (at: Date, level: LogLevel, event: string, fields: Fields) => string

const jsonLine: Line = (at, level, event, fields) =>
  `${JSON.stringify({ ...fields, at: at.toISOString(), level, event })}\n`

const plain = (value: string | number | boolean) =>
  typeof value === 'string' && !/^[\w.:/@-]+$/.test(value) ? JSON.stringify(value) : String(value)

const humanLine: Line = (at, level, event, fields) => {
  const pairs = Object.entries(fields).map(([name, value]) => ` ${name}=${plain(value)}`)
  return `${at.toISOString().slice(11, 23)} ${level.padEnd(5)} ${event}${pairs.join('')}\n`
}

const NO_FIELDS: Fields = {}
const ignore = () => {}

/** Writes JSON lines to standard error, or lines for people where that is a terminal. */
export function createLog({ level, sink = process.stderr, nowMs = Date.now }: LogOptions): Log {
  const line = sink.isTTY ? humanLine : jsonLine
  const least = LOG_LEVELS.indexOf(level)
  const at = (own: LogLevel) =>
    LOG_LEVELS.indexOf(own) < least
      ? ignore
      : (event: string, fields = NO_FIELDS) => {
          sink.write(line(new Date(nowMs()), own, event, fields))
        }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

export const silentLog: Log = { debug: ignore, info: ignore, warn: ignore, error: ignore }
