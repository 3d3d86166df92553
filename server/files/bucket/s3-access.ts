/** A bucket, and who may use it. */
export type S3Access = {
  /** `https://s3.example.org`; with a path if the provider has one. */
  readonly endpoint: string
  readonly region: string
  readonly bucket: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** `<endpoint>/<bucket>/<key>` instead of `<bucket>.<endpoint>/<key>`. */
  readonly pathStyle: boolean
  /** In front of every key: several servers may share a bucket. */
  readonly prefix?: string | undefined
  /** PEM of the authorities that the endpoint's certificate may be of; the system's if not given. */
  readonly caPem?: string | undefined
}

export function urlOf({ endpoint, bucket, pathStyle }: S3Access, path: string): URL {
  const url = new URL(endpoint)
  if (!pathStyle) url.hostname = `${bucket}.${url.hostname}`
  const parts = [...url.pathname.split('/'), ...(pathStyle ? [bucket] : []), ...path.split('/')]
  url.pathname = `/${parts.filter(Boolean).join('/')}`
  return url
}
