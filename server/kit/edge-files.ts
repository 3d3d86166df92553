// What Heliograph and the nginx in front of it share on disk; both run as one user.
import { join } from 'node:path'
import { type Config, ConfigError } from './config.ts'
import { plainKeysOf } from './plain-addresses.ts'
import { PrivateFolder } from './private-folder.ts'
import type { UploadKeyRing } from './upload-keys.ts'

/** Throws `ConfigError` where an nginx in front would find no files. */
export function mustLieOnDisk({ files, edge }: Pick<Config, 'files' | 'edge'>): void {
  if (edge.nginx && files.store === 's3')
    throw new ConfigError('"edge.nginx" is for files on disk: with "files.store: s3" leave it out.')
}

const KEY_FILE = 'nginx-upload-keys.json'
/** `sun_path` of unix(7) holds 108 bytes with its end. */
export const MAX_SOCKET_PATH_BYTES = 107

type Places = Pick<Config, 'data' | 'secrets' | 'files'>

export const filesFolder = ({ data, files }: Places): string => files.folder ?? join(data, 'files')

/** Where nginx says which files it took. */
export const handOverSocket = (config: Places): string => join(filesFolder(config), 'nginx.sock')

export const edgeKeyFile = ({ secrets }: Pick<Config, 'secrets'>): string => join(secrets, KEY_FILE)

/**
 * What nginx checks plain addresses with; nothing else can be made of it. Replaces the file whole: nginx reads it for
 * every upload. Throws `SecretsError`.
 */
export async function writeEdgeKeys(
  secretsFolder: string,
  keys: UploadKeyRing,
  nowMs: number,
): Promise<void> {
  const folder = await PrivateFolder.open(secretsFolder)
  const written = plainKeysOf(keys.verifying(nowMs)).map(({ key, signsUntilMs }) => ({
    key: Buffer.from(key).toString('hex'),
    signsUntilS: Number.isFinite(signsUntilMs) ? Math.floor(signsUntilMs / 1000) : null,
  }))
  await folder.write(KEY_FILE, `${JSON.stringify({ keys: written })}\n`)
}
