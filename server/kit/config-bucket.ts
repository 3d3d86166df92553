// A bucket of S3's kind for the file store.
import { z } from 'zod'

const text = z.string().min(1)

export const bucket = z.strictObject({
  endpoint: z
    .url({ protocol: /^https?$/ })
    .describe(
      '`https://s3.example.org`. Without TLS whoever is on the way reads ciphertexts and their names.',
    ),
  region: text.default('us-east-1').describe('As the provider calls it; part of every signature.'),
  bucket: text.describe('It has to be there. Nobody but this server should write to it.'),
  prefix: z
    .string()
    .regex(/^(?:[\w-]+\/)*$/, 'must be names with a slash behind each')
    .optional()
    .describe('In front of every key, for a bucket that others use too: `heliograph/`.'),
  pathStyle: z
    .boolean()
    .default(true)
    .describe('`<endpoint>/<bucket>/…`; `false` means `<bucket>.<endpoint>/…`, as AWS wants it.'),
  accessKeyId: text.describe('Of who may read, write, list and delete in the bucket.'),
  secretAccessKey: text.optional().describe('Better in a file of its own: `secretAccessKeyFile`.'),
  secretAccessKeyFile: text.optional().describe('A file with nothing but the secret.'),
  caFile: text
    .optional()
    .describe('Authorities (PEM) of which the endpoint’s certificate may be; the usual ones if not set.'),
  partMebibytes: z
    .int()
    .min(5)
    .max(1024)
    .default(8)
    .describe(
      'Longer files go to the bucket in parts of this size, at most 1000. The unfinished part of each upload lies in `files.folder`.',
    ),
  downloads: z
    .enum(['stream', 'redirect'])
    .default('stream')
    .describe(
      'Files go out through this server, or clients are sent to the bucket with an address for five minutes. Signal’s clients trust one authority only: `redirect` needs a bucket whose certificate is of it.',
    ),
  directUploads: z
    .boolean()
    .default(false)
    .describe('Plain uploads, and whoever asks for it at CDN 2, are sent to the bucket to upload there.'),
})
export type BucketConfig = z.output<typeof bucket>
