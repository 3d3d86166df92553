// The configuration of a server that keeps its files in a bucket.
import type { S3Access } from '../../server/files/bucket/s3-access.ts'

/** As in the file, below `files`. */
export const bucketConfig = (
  { caPem: _, ...access }: S3Access,
  more: Readonly<Record<string, unknown>> = {},
): { readonly store: 's3'; readonly s3: Readonly<Record<string, unknown>> } => ({
  store: 's3',
  s3: { ...access, partMebibytes: 5, ...more },
})

/** JSON is YAML. */
export const bucketYaml = (access: S3Access, more: Readonly<Record<string, unknown>> = {}): string =>
  JSON.stringify({ roles: ['files'], files: bucketConfig(access, more) })
