import type { Headers } from '../kit/router.ts'

/** RFC 6750 §2.1. */
export const bearerOf = (headers: Headers): string | undefined =>
  /^bearer ([\w.~+/=-]+)$/i.exec(headers['authorization'] ?? '')?.[1]
