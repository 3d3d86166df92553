// Inside a thread of the pool: Argon2id, by OpenSSL where Node has it (24.7), else by the code that browsers run.
import * as crypto from 'node:crypto'
import { argon2id } from 'hash-wasm'

export type DerivingFunctions = {
  derive(counter: number, salt: Uint8Array, memoryKiB: number): Uint8Array | Promise<Uint8Array>
  /** The same by the code that browsers run. */
  deriveAsBrowsersDo(counter: number, salt: Uint8Array, memoryKiB: number): Promise<Uint8Array>
}

const KEY_BYTES = 32
/** RFC 9106 takes a password of any length: the counter, the most significant byte first. */
export function passwordOf(counter: number): Uint8Array {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(counter)
  return bytes
}

const deriveAsBrowsersDo = (counter: number, salt: Uint8Array, memoryKiB: number) =>
  argon2id({
    ...{ password: passwordOf(counter), salt, iterations: 1, parallelism: 1 },
    ...{ memorySize: memoryKiB, hashLength: KEY_BYTES, outputType: 'binary' as const },
  })

const deriveNatively = (counter: number, salt: Uint8Array, memoryKiB: number) =>
  crypto.argon2Sync('argon2id', {
    ...{ message: passwordOf(counter), nonce: salt, passes: 1, parallelism: 1 },
    ...{ memory: memoryKiB, tagLength: KEY_BYTES },
  })

export const open = (): DerivingFunctions => ({
  derive: 'argon2Sync' in crypto ? deriveNatively : deriveAsBrowsersDo,
  deriveAsBrowsersDo,
})
