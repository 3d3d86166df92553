// The bucket that the configuration names.
import type { Clock } from '../../kit/clock.ts'
import { ConfigError } from '../../kit/config.ts'
import type { BucketConfig } from '../../kit/config-bucket.ts'
import { readSecret, readText } from '../../kit/config-secret.ts'
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
  const access = accessOf(config)
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

function accessOf(config: BucketConfig): S3Access {
  const { secretAccessKey, secretAccessKeyFile, caFile, ...access } = config
  const secret = readSecret('files.s3.secretAccessKey', secretAccessKey, secretAccessKeyFile)
  if (secret === undefined) throw new ConfigError('"files.s3.secretAccessKeyFile" is needed.')
  return {
    ...access,
    secretAccessKey: secret,
    ...(caFile && { caPem: readText('files.s3.caFile', caFile) }),
  }
}
