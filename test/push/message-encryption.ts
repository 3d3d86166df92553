// RFC 8291 from the receiver's side, by the RFC's own steps: a second opinion on what the library encrypts.
// message-encryption.test.ts holds it to the RFC's example.
import { createDecipheriv, createECDH, hkdfSync } from 'node:crypto'

export type Receiver = { readonly privateKey: Uint8Array; readonly auth: Uint8Array }

const derive = (key: Uint8Array, salt: Uint8Array, info: Buffer, length: number) =>
  Buffer.from(hkdfSync('sha256', key, salt, info, length))

/** A body of one record (RFC 8188 §2): salt, record size, the sender's key, and the record. */
export function decrypt(body: Buffer, { privateKey, auth }: Receiver): Buffer {
  const salt = body.subarray(0, 16)
  const keyLength = body.readUInt8(20)
  const senderKey = body.subarray(21, 21 + keyLength)
  const record = body.subarray(21 + keyLength)
  const ecdh = createECDH('prime256v1')
  ecdh.setPrivateKey(privateKey)
  const secret = ecdh.computeSecret(senderKey)
  const about = Buffer.concat([Buffer.from('WebPush: info\0'), ecdh.getPublicKey(), senderKey])
  const ikm = derive(secret, auth, about, 32)
  const key = derive(ikm, salt, Buffer.from('Content-Encoding: aes128gcm\0'), 16)
  const nonce = derive(ikm, salt, Buffer.from('Content-Encoding: nonce\0'), 12)
  const decipher = createDecipheriv('aes-128-gcm', key, nonce)
  decipher.setAuthTag(record.subarray(-16))
  const padded = Buffer.concat([decipher.update(record.subarray(0, -16)), decipher.final()])
  const end = padded.lastIndexOf(2)
  if (end < 0 || padded.subarray(end + 1).some((byte) => byte !== 0)) throw new Error('no last record')
  return padded.subarray(0, end)
}
