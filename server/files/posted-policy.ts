// What an S3 upload form allows, believed only with the signature of the server that gave it out: the other side of
// kit/post-policy.ts (AWS Signature Version 4, "Creating a POST policy").
import { z } from 'zod'
import type { Clock } from '../kit/clock.ts'
import { sameSecret } from '../kit/constant-time.ts'
import {
  POST_POLICY_ALGORITHM,
  POST_POLICY_BUCKET,
  POST_POLICY_REGION,
  POST_POLICY_VALID_MS,
  postPolicySignature,
} from '../kit/post-policy.ts'
import type { SigningKeys, UploadKeyRing } from '../kit/upload-keys.ts'
import { S3Error } from './s3-error.ts'

export type Allowed = { readonly key: string; readonly minBytes: number; readonly maxBytes: number }
type Fields = ReadonlyMap<string, string>

/** How far another host's clock may be ahead. */
const SKEW_MS = 300_000
/** These need no condition: they are what the conditions are checked with. */
const UNCONDITIONAL = new Set(['policy', 'x-amz-signature'])

const length = z.int().min(0)
const condition = z.union([
  z.tuple([z.literal('content-length-range'), length, length]),
  z.tuple([z.enum(['eq', 'starts-with']), z.string().startsWith('$'), z.string()]),
  z.record(z.string(), z.string()).refine((exact) => Object.keys(exact).length === 1),
])
const policyDocument = z.strictObject({
  expiration: z.iso.datetime(),
  conditions: z.array(condition).max(64),
})
type Condition = z.output<typeof condition>

/** What the fields of a form allow now. Throws `S3Error`. */
export function checkPostedPolicy(fields: Fields, keys: UploadKeyRing, clock: Clock): Allowed {
  const nowMs = clock.nowMs()
  const { signsUntilMs } = checkSignature(fields, keys.verifying(nowMs))
  const policy = readPolicy(fields.get('policy')!)
  const expiresAtMs = Date.parse(policy.expiration)
  const signedByMs = Math.min(nowMs, signsUntilMs)
  if (expiresAtMs <= nowMs || expiresAtMs - signedByMs > POST_POLICY_VALID_MS + SKEW_MS)
    throw denied('Policy expired.')
  checkConditions(fields, policy.conditions)
  return { key: fields.get('key')!, ...rangeOf(policy.conditions) }
}

/** Gives the keys that it was made with. */
function checkSignature(fields: Fields, all: readonly SigningKeys[]): SigningKeys {
  const [policy, date, credential] = ['policy', 'x-amz-date', 'x-amz-credential'].map((name) =>
    fields.get(name),
  )
  const day = /^(\d{8})T\d{6}Z$/.exec(date ?? '')?.[1]
  if (!policy || !day || !fields.has('key')) throw denied('A field is missing.')
  if (fields.get('x-amz-algorithm') !== POST_POLICY_ALGORITHM) throw denied('Another algorithm is needed.')
  const scope = `${day}/${POST_POLICY_REGION}/s3/aws4_request`
  const keys = all.find(({ accessKeyId }) => credential === `${accessKeyId}/${scope}`)
  if (!keys) throw new S3Error('InvalidAccessKeyId', 'The access key is not known.')
  const expected = Buffer.from(postPolicySignature(policy, keys.secretAccessKey, day))
  const given = Buffer.from(fields.get('x-amz-signature') ?? '')
  if (!sameSecret(given, expected))
    throw new S3Error('SignatureDoesNotMatch', 'The signature is not of this policy.')
  return keys
}

function readPolicy(base64: string): z.output<typeof policyDocument> {
  try {
    return policyDocument.parse(JSON.parse(Buffer.from(base64, 'base64').toString('utf8')))
  } catch {
    throw new S3Error('InvalidPolicyDocument', 'The policy cannot be read.')
  }
}

/** Every condition is met, and every field is in one. */
function checkConditions(fields: Fields, conditions: readonly Condition[]): void {
  const posted = new Map([...fields].map(([name, value]) => [name.toLowerCase(), value] as const))
  if (posted.size !== fields.size) throw denied('A field comes twice.')
  // There is one bucket, whether the form names it or not.
  const values = new Map([['bucket', POST_POLICY_BUCKET], ...posted])
  const named = new Set<string>()
  for (const { name, isMet } of conditions.flatMap(demandOf)) {
    named.add(name)
    if (!isMet(values.get(name))) throw denied('A condition of the policy is not met.')
  }
  for (const name of posted.keys())
    if (!named.has(name) && !UNCONDITIONAL.has(name))
      throw denied('A field is in no condition of the policy.')
}

type Demand = { readonly name: string; isMet(value: string | undefined): boolean }

function demandOf(one: Condition): readonly Demand[] {
  if (!Array.isArray(one)) {
    const [[name, wanted]] = Object.entries(one) as [[string, string]]
    return [{ name: name.toLowerCase(), isMet: (value) => value === wanted }]
  }
  const [kind, field, wanted] = one
  if (kind === 'content-length-range') return []
  const name = field.slice(1).toLowerCase()
  const isMet = (value = '') => (kind === 'eq' ? value === wanted : value.startsWith(wanted))
  return [{ name, isMet }]
}

function rangeOf(conditions: readonly Condition[]): { readonly minBytes: number; readonly maxBytes: number } {
  const ranges = conditions.flatMap((one) =>
    Array.isArray(one) && one[0] === 'content-length-range' ? [[one[1], one[2]] as const] : [],
  )
  if (ranges.length !== 1) throw new S3Error('InvalidPolicyDocument', 'The policy names no length.')
  const [[minBytes, maxBytes]] = ranges as [readonly [number, number]]
  return { minBytes, maxBytes }
}

const denied = (why: string) => new S3Error('AccessDenied', why)
