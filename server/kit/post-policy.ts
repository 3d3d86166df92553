// S3's signed upload forms (AWS Signature Version 4, browser-based uploads by POST): one object, of a size, for a while.
import { createHmac } from 'node:crypto'
import type { Clock } from './clock.ts'
import type { UploadKeyRing } from './upload-keys.ts'

export const POST_POLICY_ALGORITHM = 'AWS4-HMAC-SHA256'
export const POST_POLICY_ACL = 'private'
/** For so long a form can be used after it was given out. */
export const POST_POLICY_VALID_MS = 30 * 60_000
/** The store is our own: its names are only part of what is signed. */
export const POST_POLICY_REGION = 'us-east-1'
export const POST_POLICY_BUCKET = 'heliograph'

/** The fields of the form that the client posts with its file. */
export type PostForm = {
  readonly key: string
  /** `<access key id>/<yyyymmdd>/<region>/s3/aws4_request` */
  readonly credential: string
  readonly acl: typeof POST_POLICY_ACL
  readonly algorithm: typeof POST_POLICY_ALGORITHM
  /** `yyyymmddThhmmssZ` */
  readonly date: string
  /** JSON in base64; says what the form allows. */
  readonly policy: string
  /** Hexadecimal, of `policy`. */
  readonly signature: string
}

export type PostSize = { readonly minBytes?: number; readonly maxBytes: number }

export class PostPolicy {
  readonly #keys: UploadKeyRing
  readonly #clock: Clock

  constructor(keys: UploadKeyRing, clock: Clock) {
    this.#keys = keys
    this.#clock = clock
  }

  /** A form for one object of at least `minBytes` (1) and at most `maxBytes`; good for 30 minutes. */
  formFor(key: string, { minBytes = 1, maxBytes }: PostSize): PostForm {
    const nowMs = this.#clock.nowMs()
    const { accessKeyId, secretAccessKey } = this.#keys.signing(nowMs)
    const date = `${new Date(nowMs).toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`
    const day = date.slice(0, 8)
    const credential = `${accessKeyId}/${day}/${POST_POLICY_REGION}/s3/aws4_request`
    const rules = {
      expiration: new Date(nowMs + POST_POLICY_VALID_MS).toISOString(),
      conditions: [
        { bucket: POST_POLICY_BUCKET },
        { key },
        { acl: POST_POLICY_ACL },
        ['starts-with', '$Content-Type', ''],
        ['content-length-range', minBytes, maxBytes],
        { 'x-amz-credential': credential },
        { 'x-amz-algorithm': POST_POLICY_ALGORITHM },
        { 'x-amz-date': date },
      ],
    }
    const policy = Buffer.from(JSON.stringify(rules)).toString('base64')
    const signature = postPolicySignature(policy, secretAccessKey, day)
    return {
      ...{ key, credential, acl: POST_POLICY_ACL, algorithm: POST_POLICY_ALGORITHM },
      ...{ date, policy, signature },
    }
  }
}

/** The signature of a policy in base64, in hexadecimal, by the key of a day (`yyyymmdd`) and a region. */
export function postPolicySignature(
  policy: string,
  secretAccessKey: string,
  day: string,
  region = POST_POLICY_REGION,
): string {
  const scope = [day, region, 's3', 'aws4_request']
  const key = scope.reduce(hmac, Buffer.from(`AWS4${secretAccessKey}`))
  return hmac(key, policy).toString('hex')
}

const hmac = (key: Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest()
