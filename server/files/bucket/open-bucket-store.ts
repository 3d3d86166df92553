// The bucket that the configuration names.
import { readFile } from 'node:fs/promises'
import type { Clock } from '../../kit/clock.ts'
import { ConfigError } from '../../kit/config.ts'
import type { BucketConfig } from '../../kit/config-bucket.ts'
import type { Random } from '../../kit/random.ts'
import type { FileEvents } from '../events.ts'
import { Bucket } from './bucket.ts'
import { BucketStore } from './bucket-store.ts'
import type { S3Access } from './s3-access.ts'
import { S3Client } from './s3-client.ts'

export type BucketSurroundings = {
  readonly folder: string
  readonly maxBytes?: number | undefined
  readonly remember?: ((key: string) => Promise<void>) | undefined
  readonly clock: Clock
  readonly random: Random
  readonly events: FileEvents
}

const MEBIBYTE = 1024 * 1024

/** Throws `ConfigError` where the bucket refuses what is configured. One that is away is no reason not to start. */
export async function openBucketStore(
  config: BucketConfig,
  { events, ...surroundings }: BucketSurroundings,
): Promise<BucketStore> {
  const access = await accessOf(config)
  const onTrouble = (code: string) => events.bucketFailed(code)
  const client = new S3Client({ access, clock: surroundings.clock, onTrouble })
  const complaint = COMPLAINTS[(await client.probe()) ?? 0]
  if (complaint) {
    client.close()
    throw new ConfigError(`files.s3: the bucket "${config.bucket}" at ${config.endpoint} ${complaint}.`)
  }
  const partBytes = config.partMebibytes * MEBIBYTE
  const sends = { gets: config.downloads === 'redirect', puts: config.directUploads }
  return BucketStore.open({ ...surroundings, partBytes, sends, bucket: new Bucket(client) })
}

const COMPLAINTS: Readonly<Record<number, string>> = {
  301: 'is in another region',
  401: 'does not know the access key',
  403: 'refuses the access key, its secret, or the clock of this host',
  404: 'is not there',
}

async function accessOf(config: BucketConfig): Promise<S3Access> {
  const { secretAccessKey, secretAccessKeyFile, caFile, ...access } = config
  return {
    ...access,
    secretAccessKey: secretAccessKey ?? (await textOf(secretAccessKeyFile!, 'secretAccessKeyFile')).trim(),
    ...(caFile && { caPem: await textOf(caFile, 'caFile') }),
  }
}

async function textOf(file: string, name: string): Promise<string> {
  return readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new ConfigError(`files.s3.${name}: cannot read ${file} (${error.code}).`)
  })
}
