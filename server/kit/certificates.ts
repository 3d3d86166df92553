// Our own certificate authority and the server's certificate: made when missing, renewed in time, otherwise only loaded.

import { createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { DAY_MS } from './days.ts'
import { PrivateFolder, SecretsError, writeAtomically } from './private-folder.ts'

const CA_KEY = 'ca.key.pem'
const LEAF_KEY = 'tls.key.pem'
const CA = 'ca.pem'
const CA_DER = 'ca.der'
const LEAF = 'tls.pem'
const PUBLIC_MODE = 0o644

const RENEW_LEAF_BEFORE_MS = 30 * DAY_MS
/** An authority must outlive the leaves it signs. */
const RENEW_CA_BEFORE_MS = 400 * DAY_MS

const LOCAL_HOSTS = ['localhost', '127.0.0.1', '::1']
/** They mean "every address" and name none. */
export const ANY_ADDRESS: readonly string[] = ['0.0.0.0', '::', '']

export type CertificateOptions = {
  readonly secretsFolder: string
  readonly dataFolder: string
  /** Names and addresses by which clients reach us, besides localhost. */
  readonly hosts: readonly string[]
  readonly nowMs: number
}

export type Certificates = {
  /** PEM; must stay secret. */
  readonly key: string
  /** PEM of the leaf. */
  readonly cert: string
  readonly caPemFile: string
  readonly caDerFile: string
  /** SHA-256 of the authority's certificate, in hex pairs with colons. */
  readonly fingerprint: string
}

type Place = { readonly secrets: PrivateFolder; readonly tls: string; readonly nowMs: number }

/**
 * Loads the certificates; makes what is missing, and renews a leaf that lacks a host or ends within 30 days.
 * The authority's key is needed only then, and may be kept elsewhere in between. Throws `SecretsError`.
 */
export async function openCertificates(options: CertificateOptions): Promise<Certificates> {
  const tls = join(options.dataFolder, 'tls')
  await mkdir(tls, { recursive: true })
  const place = { secrets: await PrivateFolder.open(options.secretsFolder), tls, nowMs: options.nowMs }
  const authority = await openAuthority(place)
  const leaf = await openLeaf(place, authority, hostsOf(options.hosts))
  const files = { caPemFile: join(tls, CA), caDerFile: join(tls, CA_DER) }
  return { ...leaf, ...files, fingerprint: authority.fingerprint256 }
}

const hostsOf = (hosts: readonly string[]) => [
  ...new Set([...LOCAL_HOSTS, ...hosts.filter((host) => !ANY_ADDRESS.includes(host))]),
]

async function openAuthority(place: Place): Promise<X509Certificate> {
  const found = await readCertificate(join(place.tls, CA))
  if (found && endsAfter(found, place.nowMs + RENEW_CA_BEFORE_MS)) {
    const der = await readFile(join(place.tls, CA_DER)).catch(() => undefined)
    if (!der?.equals(found.raw)) await writeDer(place, found)
    return found
  }
  return makeAuthority(place, found)
}

/** With the key there is, if there is one: clients that trust it go on trusting it. */
async function makeAuthority(place: Place, old: X509Certificate | undefined): Promise<X509Certificate> {
  const maker = await import('./certificate-maker.ts')
  const key = old ? await authorityKey(place, old) : await anyKey(place, CA_KEY, maker.makeKey)
  const pem = maker.makeAuthority(key, place.nowMs)
  await writeAtomically(place.tls, CA, pem, PUBLIC_MODE)
  const authority = new X509Certificate(pem)
  await writeDer(place, authority)
  return authority
}

const writeDer = (place: Place, authority: X509Certificate) =>
  writeAtomically(place.tls, CA_DER, authority.raw, PUBLIC_MODE)

async function openLeaf(place: Place, authority: X509Certificate, hosts: readonly string[]) {
  const key = await place.secrets.read(LEAF_KEY)
  const leaf = await readCertificate(join(place.tls, LEAF))
  if (key && leaf && fits(leaf, key, authority, hosts, place)) return { key, cert: leaf.toString() }
  return makeLeaf(place, authority, hosts)
}

async function makeLeaf(place: Place, authority: X509Certificate, hosts: readonly string[]) {
  const issuerKey = await authorityKey(place, authority)
  const maker = await import('./certificate-maker.ts')
  const key = await anyKey(place, LEAF_KEY, maker.makeKey)
  const cert = maker.makeLeaf(createPublicKey(key), issuerKey, hosts, place.nowMs)
  await writeAtomically(place.tls, LEAF, cert, PUBLIC_MODE)
  return { key: key.export({ type: 'pkcs8', format: 'pem' }) as string, cert }
}

function fits(
  leaf: X509Certificate,
  key: string,
  authority: X509Certificate,
  hosts: readonly string[],
  place: Place,
) {
  return (
    leaf.checkPrivateKey(parseKey(key, join(place.secrets.path, LEAF_KEY))) &&
    leaf.verify(authority.publicKey) &&
    endsAfter(leaf, place.nowMs + RENEW_LEAF_BEFORE_MS) &&
    Date.parse(leaf.validFrom) <= place.nowMs &&
    hosts.every((host) => (isIP(host) ? leaf.checkIP(host) : leaf.checkHost(host)) !== undefined)
  )
}

/** The key of this authority; a new one would lock out every client that was given the old one. */
async function authorityKey(place: Place, authority: X509Certificate): Promise<KeyObject> {
  const path = join(place.secrets.path, CA_KEY)
  const pem = await place.secrets.read(CA_KEY)
  const key = pem === undefined ? undefined : parseKey(pem, path)
  if (key && authority.checkPrivateKey(key)) return key
  const what = key ? 'is not the key of' : 'is missing, the key of'
  throw new SecretsError(
    `${path} ${what} ${join(place.tls, CA)}: put it back, or delete that certificate to make a new authority, which every client must then be given.`,
  )
}

async function anyKey(place: Place, name: string, make: () => string): Promise<KeyObject> {
  const pem = (await place.secrets.read(name)) ?? (await place.secrets.create(name, make()))
  return parseKey(pem, join(place.secrets.path, name))
}

function parseKey(pem: string, path: string): KeyObject {
  try {
    return createPrivateKey(pem)
  } catch {
    throw new SecretsError(`${path} is damaged: put the right copy back.`)
  }
}

async function readCertificate(path: string): Promise<X509Certificate | undefined> {
  try {
    return new X509Certificate(await readFile(path))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new SecretsError(`${path} cannot be read as a certificate: put the right copy back.`)
  }
}

const endsAfter = (certificate: X509Certificate, ms: number) => Date.parse(certificate.validTo) > ms
