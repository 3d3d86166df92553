// X.509 certificates (RFC 5280) of our own authority, on P-256 with SHA-256.

import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
} from 'node:crypto'
import { isIP } from 'node:net'
import { domainToASCII } from 'node:url'
import { addressBytes } from './address.ts'
import { DAY_MS } from './days.ts'
import * as der from './der.ts'

const CA_DAYS = 3650
/** With the day before, 397 at most: what clients accept of a server's certificate. */
const LEAF_DAYS = 396
/** For clients whose clocks are behind. */
const BACKDATE_MS = DAY_MS

const OID = {
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  commonName: '2.5.4.3',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
} as const

const SIGNATURE_ALGORITHM = der.sequence(der.oid(OID.ecdsaWithSha256))
/** RFC 5280 §4.2.1.3: digitalSignature is bit 0. */
const DIGITAL_SIGNATURE = der.bitString(Buffer.of(0b1000_0000), 7)
/** keyCertSign is bit 5, cRLSign bit 6. */
const SIGN_CERTIFICATES = der.bitString(Buffer.of(0b0000_0110), 1)
/** The uncompressed point at the end of a P-256 SubjectPublicKeyInfo. */
const POINT_BYTES = 65

export type Pem = string
type Template = {
  readonly publicKey: KeyObject
  readonly issuerKey: KeyObject
  readonly subject: string
  readonly issuer: string
  readonly notBeforeMs: number
  readonly notAfterMs: number
  readonly extensions: readonly Buffer[]
}

export const makeKey = (): Pem =>
  generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
    type: 'pkcs8',
    format: 'pem',
  }) as Pem

/** The authority's certificate. For the same key it has the same name, so that older leaves still fit. */
export function makeAuthority(key: KeyObject, nowMs: number): Pem {
  const publicKey = createPublicKey(key)
  const name = authorityName(publicKey)
  return signed({
    publicKey,
    issuerKey: key,
    subject: name,
    issuer: name,
    notBeforeMs: nowMs - BACKDATE_MS,
    notAfterMs: nowMs + CA_DAYS * DAY_MS,
    extensions: [
      // CA, and path length 0: no authority under this one.
      extension(OID.basicConstraints, der.sequence(der.boolean(true), der.integer(Buffer.of(0))), true),
      extension(OID.keyUsage, SIGN_CERTIFICATES, true),
      extension(OID.subjectKeyIdentifier, der.octetString(keyIdentifier(publicKey))),
    ],
  })
}

/** A server's certificate for host names and addresses. */
export function makeLeaf(
  publicKey: KeyObject,
  authorityKey: KeyObject,
  hosts: readonly string[],
  nowMs: number,
): Pem {
  const issuerPublicKey = createPublicKey(authorityKey)
  return signed({
    publicKey,
    issuerKey: authorityKey,
    subject: 'Heliograph',
    issuer: authorityName(issuerPublicKey),
    notBeforeMs: nowMs - BACKDATE_MS,
    notAfterMs: nowMs + LEAF_DAYS * DAY_MS,
    extensions: [
      extension(OID.basicConstraints, der.sequence(), true),
      extension(OID.keyUsage, DIGITAL_SIGNATURE, true),
      extension(OID.extendedKeyUsage, der.sequence(der.oid(OID.serverAuth))),
      extension(OID.subjectAltName, der.sequence(...hosts.map(generalName))),
      extension(OID.subjectKeyIdentifier, der.octetString(keyIdentifier(publicKey))),
      extension(OID.authorityKeyIdentifier, der.sequence(der.implicit(0, keyIdentifier(issuerPublicKey)))),
    ],
  })
}

function signed(template: Template): Pem {
  const body = toBeSigned(template)
  const signature = sign('sha256', body, template.issuerKey)
  const certificate = der.sequence(body, SIGNATURE_ALGORITHM, der.bitString(signature))
  const lines = certificate.toString('base64').match(/.{1,64}/g)!
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
}

const toBeSigned = (template: Template): Buffer =>
  der.sequence(
    der.explicit(0, der.integer(Buffer.of(2))),
    der.integer(serialNumber()),
    SIGNATURE_ALGORITHM,
    distinguishedName(template.issuer),
    der.sequence(der.time(template.notBeforeMs), der.time(template.notAfterMs)),
    distinguishedName(template.subject),
    spki(template.publicKey),
    der.explicit(3, der.sequence(...template.extensions)),
  )

/** RFC 5280 §4.1.2.2: positive, at most 20 octets. */
function serialNumber(): Buffer {
  const bytes = randomBytes(16)
  bytes[0] = (bytes[0]! & 0x7f) | 0x40
  return bytes
}

const extension = (id: string, value: Buffer, critical = false) =>
  der.sequence(der.oid(id), ...(critical ? [der.boolean(true)] : []), der.octetString(value))

const distinguishedName = (commonName: string) =>
  der.sequence(der.set(der.sequence(der.oid(OID.commonName), der.utf8String(commonName))))

/** RFC 5280 §4.2.1.6: [2] is a DNS name, [7] an address. */
const generalName = (host: string) =>
  isIP(host) ? der.implicit(7, addressBytes(host)) : der.implicit(2, Buffer.from(domainToASCII(host)))

const spki = (publicKey: KeyObject): Buffer => publicKey.export({ type: 'spki', format: 'der' })

/** RFC 7093 §2, method 1: the leftmost 160 bits of the SHA-256 of the key. */
const keyIdentifier = (publicKey: KeyObject): Buffer =>
  createHash('sha256').update(spki(publicKey).subarray(-POINT_BYTES)).digest().subarray(0, 20)

/** Authorities of different installations differ by name too, or clients that trust both mix them up. */
const authorityName = (publicKey: KeyObject) =>
  `Heliograph CA ${keyIdentifier(publicKey).subarray(0, 4).toString('hex')}`
