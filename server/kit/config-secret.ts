// Secrets of the configuration: written into it, or into a file of their own that it names.
import { readFileSync } from 'node:fs'
import { ConfigError } from './config.ts'

/**
 * The secret `key` of the configuration, from its value or from the file that `keyFile` names, without the line's end.
 * Nothing if neither is given. Throws a `ConfigError`, which never contains the secret.
 */
export function readSecret(
  key: string,
  value: string | undefined,
  file: string | undefined,
): string | undefined {
  if (value !== undefined && file !== undefined)
    throw new ConfigError(`"${key}" and "${key}File" are both given: one of them has to go.`)
  if (file === undefined) return value
  const text = readText(`${key}File`, file).replace(/\r?\n$/, '')
  if (text === '') throw new ConfigError(`"${key}File": ${file} is empty.`)
  return text
}

/** A text that is no secret, such as certificates, from the file that `key` names. */
export function readText(key: string, file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new ConfigError(`"${key}": cannot read ${file}: ${code === 'ENOENT' ? 'no such file' : code}.`)
  }
}
