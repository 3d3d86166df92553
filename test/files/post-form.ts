// A form with a file, as signal-cli posts it.
import type { PostForm } from '../../server/kit/post-policy.ts'

/** However a form was told: by REST, by gRPC. */
export type FormLike = { readonly [Field in keyof PostForm]: string }

export const BOUNDARY = '7f3b9c'
export const FORM_TYPE = { 'content-type': `multipart/form-data; boundary=${BOUNDARY}` }

/** In the order and under the names that signal-cli sends (shared/reference/signal-cli.md, updateProfile). */
export const formFields = (form: FormLike): [string, string][] => [
  ['acl', form.acl],
  ['key', form.key],
  ['policy', form.policy],
  ['Content-Type', 'application/octet-stream'],
  ['x-amz-algorithm', form.algorithm],
  ['x-amz-credential', form.credential],
  ['x-amz-date', form.date],
  ['x-amz-signature', form.signature],
]

/** What comes before the file. */
export function formHead(fields: readonly (readonly [string, string])[]): Buffer {
  const parts = fields.map(
    ([name, value]) =>
      `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"\r\nContent-Length: ${Buffer.byteLength(value)}\r\n\r\n${value}\r\n`,
  )
  const file = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="file"\r\nContent-Type: application/octet-stream\r\n\r\n`
  return Buffer.from(parts.join('') + file)
}
export const formEnd = Buffer.from(`\r\n--${BOUNDARY}--\r\n`)

export const formBody = (
  fields: readonly (readonly [string, string])[],
  content: Uint8Array | string,
): Buffer => Buffer.concat([formHead(fields), Buffer.from(content as string), formEnd])
