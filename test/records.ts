// Encrypted records as the server sees them: bytes that mean nothing.
import { randomBytes } from 'node:crypto'

type Bytes = Uint8Array<ArrayBuffer>
export type RecordItem = { readonly key: Bytes; readonly value: Bytes }

export const noise = (bytes: number): Bytes => new Uint8Array(randomBytes(bytes))
export const newItem = (valueBytes = 60): RecordItem => ({ key: noise(16), value: noise(valueBytes) })
export const newItems = (count: number, valueBytes?: number): RecordItem[] =>
  Array.from({ length: count }, () => newItem(valueBytes))
export const manifestAt = (version: number, valueBytes = 100) => ({ version, value: noise(valueBytes) })
export const keysOf = (items: readonly RecordItem[]): Bytes[] => items.map(({ key }) => key)

const textOf = ({ key, value }: { readonly key: Uint8Array; readonly value: Uint8Array }) =>
  `${Buffer.from(key).toString('hex')}=${Buffer.from(value).toString('hex')}`
/** The same records make the same lists, whatever their order. */
export const inOrder = (items: readonly { readonly key: Uint8Array; readonly value: Uint8Array }[]) =>
  items.map(textOf).sort()
