// The server's own keys: made at first start, the same ever after.
import { randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import { PrivateKey, ServerCertificate } from '@signalapp/libsignal-client'
import {
  GenericServerSecretParams,
  ServerSecretParams,
} from '@signalapp/libsignal-client/dist/zkgroup/index.js'
import { z } from 'zod'
import { PrivateFolder, SecretsError } from './private-folder.ts'
import { newUploadKeys, UploadKeyRing, uploadKeysSchema, type WrittenUploadKeys } from './upload-keys.ts'
import { newVapidKeys, type VapidKeys } from './vapid-keys.ts'

export { SecretsError }

export const SECRETS_FILE = 'secrets.json'
const FILE = SECRETS_FILE
const KEY_BYTES = 32
/** Embedded in sender certificates; only Signal's own servers need a number that clients know. */
const SERVER_CERTIFICATE_ID = 1

/** For the token of one external service: `secret` signs, `userIdKey` hides the account's id. */
export type ExternalServiceSecret = { readonly secret: Buffer; readonly userIdKey: Buffer }
export type ExternalService = 'storage' | 'directory' | 'svr2' | 'svrb'

/** What clients must be given: base64, in the names of the ready file. */
export type PublicKeys = {
  readonly serverPublicParams: string
  readonly genericServerPublicParams: string
  readonly backupServerPublicParams: string
  readonly unidentifiedSenderTrustRoots: readonly string[]
}

const key = z.base64().transform((text) => Buffer.from(text, 'base64'))
const symmetricKey = key.refine((bytes) => bytes.length === KEY_BYTES)
const externalService = z.strictObject({ secret: symmetricKey, userIdKey: symmetricKey })

const stored = z.strictObject({
  version: z.literal(1),
  databaseKey: symmetricKey,
  serverSecretParams: key.transform((bytes) => new ServerSecretParams(bytes)),
  genericServerSecretParams: key.transform((bytes) => new GenericServerSecretParams(bytes)),
  backupServerSecretParams: key.transform((bytes) => new GenericServerSecretParams(bytes)),
  senderTrustRoot: key.transform((bytes) => PrivateKey.deserialize(bytes)),
  senderCertificateKey: key.transform((bytes) => PrivateKey.deserialize(bytes)),
  serverCertificate: key.transform((bytes) => ServerCertificate.deserialize(bytes)),
  linkDeviceSecret: symmetricKey,
  externalServices: z.strictObject({
    storage: externalService,
    directory: externalService,
    svr2: externalService,
    svrb: externalService,
  }),
  uploads: uploadKeysSchema.transform((keys) => new UploadKeyRing(keys)),
  turnSecret: symmetricKey,
  reportSecret: symmetricKey,
  groupTokenSecret: symmetricKey,
  verificationSecret: symmetricKey,
  captchaSecret: symmetricKey,
  pushSecret: symmetricKey,
  vapid: z.strictObject({ publicKey: z.base64url(), privateKey: z.base64url() }),
})
type Keys = z.output<typeof stored>

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')
const newKey = () => base64(randomBytes(KEY_BYTES))
const newExternalService = () => ({ secret: newKey(), userIdKey: newKey() })

/** Keys that came after the first version of the file: a file without them gets them. */
const added = z.looseObject({
  externalServices: z.looseObject({ svrb: z.unknown().default(newExternalService) }),
  uploads: z.unknown().default(newUploadKeys),
  turnSecret: z.unknown().default(newKey),
  reportSecret: z.unknown().default(newKey),
  groupTokenSecret: z.unknown().default(newKey),
  verificationSecret: z.unknown().default(newKey),
  captchaSecret: z.unknown().default(newKey),
  pushSecret: z.unknown().default(newKey),
  vapid: z.unknown().default(newVapidKeys),
})

function newSecrets(): z.input<typeof stored> {
  const trustRoot = PrivateKey.generate()
  const certificateKey = PrivateKey.generate()
  const certificate = ServerCertificate.new(SERVER_CERTIFICATE_ID, certificateKey.getPublicKey(), trustRoot)
  return {
    version: 1,
    databaseKey: newKey(),
    serverSecretParams: base64(ServerSecretParams.generate().serialize()),
    genericServerSecretParams: base64(GenericServerSecretParams.generate().serialize()),
    backupServerSecretParams: base64(GenericServerSecretParams.generate().serialize()),
    senderTrustRoot: base64(trustRoot.serialize()),
    senderCertificateKey: base64(certificateKey.serialize()),
    serverCertificate: base64(certificate.serialize()),
    linkDeviceSecret: newKey(),
    externalServices: {
      storage: newExternalService(),
      directory: newExternalService(),
      svr2: newExternalService(),
      svrb: newExternalService(),
    },
    uploads: newUploadKeys(),
    turnSecret: newKey(),
    reportSecret: newKey(),
    groupTokenSecret: newKey(),
    verificationSecret: newKey(),
    captchaSecret: newKey(),
    pushSecret: newKey(),
    vapid: newVapidKeys(),
  }
}

/** Every getter but `publicKeys` must stay secret. The object itself prints and serializes as nothing. */
export class Secrets {
  readonly #keys: Keys

  constructor(keys: Keys) {
    this.#keys = keys
  }

  get databaseKey(): Buffer {
    return this.#keys.databaseKey
  }

  get serverSecretParams(): ServerSecretParams {
    return this.#keys.serverSecretParams
  }

  get genericServerSecretParams(): GenericServerSecretParams {
    return this.#keys.genericServerSecretParams
  }

  get backupServerSecretParams(): GenericServerSecretParams {
    return this.#keys.backupServerSecretParams
  }

  get senderTrustRoot(): PrivateKey {
    return this.#keys.senderTrustRoot
  }

  /** Signs sender certificates; `serverCertificate` is the trust root's word for it. */
  get senderCertificateKey(): PrivateKey {
    return this.#keys.senderCertificateKey
  }

  get serverCertificate(): ServerCertificate {
    return this.#keys.serverCertificate
  }

  get linkDeviceSecret(): Buffer {
    return this.#keys.linkDeviceSecret
  }

  get externalServices(): Readonly<Record<ExternalService, ExternalServiceSecret>> {
    return this.#keys.externalServices
  }

  /** Exchanged while the server runs: ask it each time. */
  get uploads(): UploadKeyRing {
    return this.#keys.uploads
  }

  /** Shared with the relay: its credentials are made of it (draft-uberti-behave-turn-rest). */
  get turnSecret(): Buffer {
    return this.#keys.turnSecret
  }

  /** Signs what members of groups show to the server of group calls, which shares it. */
  get groupTokenSecret(): Buffer {
    return this.#keys.groupTokenSecret
  }

  /** Hides numbers and addresses in what is counted of codes, and makes the push challenges of new phones. */
  get verificationSecret(): Buffer {
    return this.#keys.verificationSecret
  }

  /** Seals challenges and tokens of captchas. */
  /** `publicKey` is for everybody. */
  get vapid(): VapidKeys {
    return this.#keys.vapid
  }

  get pushSecret(): Buffer {
    return this.#keys.pushSecret
  }

  get captchaSecret(): Buffer {
    return this.#keys.captchaSecret
  }

  /** Proves that a message was delivered, to who reports it. */
  get reportSecret(): Buffer {
    return this.#keys.reportSecret
  }

  get publicKeys(): PublicKeys {
    const { serverSecretParams, genericServerSecretParams, backupServerSecretParams, senderTrustRoot } =
      this.#keys
    return {
      serverPublicParams: base64(serverSecretParams.getPublicParams().serialize()),
      genericServerPublicParams: base64(genericServerSecretParams.getPublicParams().serialize()),
      backupServerPublicParams: base64(backupServerSecretParams.getPublicParams().serialize()),
      unidentifiedSenderTrustRoots: [base64(senderTrustRoot.getPublicKey().serialize())],
    }
  }

  toJSON(): string {
    return '[secrets]'
  }

  [inspect.custom](): string {
    return '[secrets]'
  }
}

const written = (value: unknown) => JSON.stringify(value, null, 2)

/** The file with the keys that it lacks; nothing if it lacks none, or is not such a file. */
function withAdded(text: string): string | undefined {
  try {
    const upgraded = written(added.parse(JSON.parse(text)))
    return upgraded.length === written(JSON.parse(text)).length ? undefined : upgraded
  } catch {
    return undefined
  }
}

function parse(text: string, path: string): Keys {
  try {
    return stored.parse(JSON.parse(text))
  } catch {
    // The reason could quote what stands in the file.
    throw new SecretsError(`${path}/${FILE} is damaged or of another version: put the right copy back.`)
  }
}

/**
 * Loads the secrets of a folder, or makes them if it has none: on disk when this returns, and the same for every
 * process that opens the folder at once. Throws `SecretsError`.
 */
export async function openSecrets(folder: string): Promise<Secrets> {
  const place = await PrivateFolder.open(folder)
  const text = (await place.read(FILE)) ?? (await place.create(FILE, written(newSecrets())))
  const upgraded = withAdded(text)
  if (upgraded === undefined) return new Secrets(parse(text, folder))
  const secrets = new Secrets(parse(upgraded, folder))
  await place.write(FILE, upgraded)
  return secrets
}

/**
 * Changes the upload keys in the file, and gives them as they are on disk then. `change` gives nothing where they may
 * stay. Throws `SecretsError`.
 */
export async function changeUploadKeys(
  folder: string,
  change: (keys: WrittenUploadKeys) => WrittenUploadKeys | undefined,
): Promise<UploadKeyRing> {
  const place = await PrivateFolder.open(folder)
  return place.alone(FILE, async () => {
    const text = (await place.read(FILE)) ?? ''
    const before = parse(text, folder).uploads
    const file = JSON.parse(text) as { readonly uploads: WrittenUploadKeys }
    const uploads = change(file.uploads)
    if (!uploads) return before
    const changed = written({ ...file, uploads })
    const after = parse(changed, folder).uploads
    await place.write(FILE, changed)
    return after
  })
}
