import type { EcSignedPreKey, EcPreKey as WireEcPreKey } from '../../../wire/gen/common.js'
import { type KeysAnonymous, Keys as KeysService } from '../../../wire/gen/keys.js'
import { EC_PUBLIC_KEY_BYTES, KEM_PUBLIC_KEY_BYTES, SIGNATURE_BYTES } from '../../../wire/limits.ts'
import type { Access } from '../../../wire/route.ts'
import { MAX_DEVICE_ID, MAX_KEY_ID, type ServiceId } from '../../../wire/types.ts'
import { type GrpcHandlers, type GrpcMethod, implementService } from '../../kit/grpc-service.ts'
import { Refusal } from '../../kit/refusal.ts'
import { readIdentityType, readServiceIdentifier } from '../accounts/service-identifier.ts'
import { accessKeyFingerprint } from '../accounts/unidentified-access.ts'
import type { DeviceBundle, Keys, KeyUpload, Taken } from './keys.ts'

type PreKeysRequest = Parameters<typeof KeysService.rpcs.getPreKeys.request.encode>[0]

export const keysGrpc = (keys: Keys): GrpcMethod[] => {
  const store = async (
    call: { device: Parameters<Keys['store']>[0] },
    identityType: number,
    upload: KeyUpload,
  ) => {
    await keys.store(call.device, readIdentityType('identity_type', identityType), upload)
    return {}
  }
  return implementService(KeysService, {
    async getPreKeyCount(_, { device }) {
      const [aci, pni] = await Promise.all([keys.count(device, 'aci'), keys.count(device, 'pni')])
      return {
        aciEcPreKeyCount: aci.ec,
        aciKemPreKeyCount: aci.kem,
        pniEcPreKeyCount: pni.ec,
        pniKemPreKeyCount: pni.kem,
      }
    },
    async getPreKeys(request, { device }) {
      const taken = await keys.take({ kind: 'device', device }, ...target(request))
      return taken.kind === 'taken' ? { preKeys: bundles(taken) } : { targetNotFound: {} }
    },
    setOneTimeEcPreKeys: (request, call) =>
      store(call, request.identityType, { ec: nonEmpty(request.preKeys.map(ecKey)) }),
    setOneTimeKemSignedPreKeys: (request, call) =>
      store(call, request.identityType, {
        kem: nonEmpty(request.preKeys.map((key) => signed(key, KEM_PUBLIC_KEY_BYTES))),
      }),
    setEcSignedPreKey: (request, call) =>
      store(call, request.identityType, { signedEc: signed(request.signedPreKey, EC_PUBLIC_KEY_BYTES) }),
    setKemLastResortPreKey: (request, call) =>
      store(call, request.identityType, {
        lastResortKem: signed(request.signedPreKey, KEM_PUBLIC_KEY_BYTES),
      }),
  })
}

export const keysAnonymousGrpc = (keys: Keys): Pick<GrpcHandlers<typeof KeysAnonymous>, 'getPreKeys'> => ({
  async getPreKeys(request) {
    if (!request.request) throw new Refusal('invalid', { field: 'request', message: 'must be present' })
    const taken = await keys.take(unidentified(request), ...target(request.request))
    if (taken.kind === 'taken') return { preKeys: bundles(taken) }
    return taken.kind === 'refused' ? { failedUnidentifiedAuthorization: {} } : { targetNotFound: {} }
  },
})

type Authorization =
  | { readonly authorization: 'unidentifiedAccessKey'; readonly unidentifiedAccessKey: Uint8Array }
  | { readonly authorization: 'groupSendToken'; readonly groupSendToken: Uint8Array }
  | { readonly authorization: 'unrestrictedAccess' }
  | { readonly authorization: undefined }

/** How an anonymous caller proves that it may reach its target; refuses a call without any proof. */
export function unidentified(request: Authorization): Exclude<Access, { kind: 'device' }> {
  if (request.authorization === 'groupSendToken')
    return { kind: 'group-send-token', token: request.groupSendToken }
  if (request.authorization === 'unrestrictedAccess') return { kind: 'unrestricted' }
  if (request.authorization === undefined)
    throw new Refusal('invalid', { field: 'authorization', message: 'must be present' })
  return { kind: 'access-key', key: request.unidentifiedAccessKey }
}

function target(request: PreKeysRequest): [ServiceId, number | undefined] {
  const id = readServiceIdentifier('target_identifier', request.targetIdentifier as never)
  const deviceId = request.deviceId ?? undefined
  if (deviceId !== undefined && (deviceId < 1 || deviceId > MAX_DEVICE_ID)) {
    throw new Refusal('invalid', { field: 'device_id', message: 'must be a device id' })
  }
  return [id, deviceId]
}

function nonEmpty<T>(list: T[]): T[] {
  if (list.length > 0) return list
  throw new Refusal('invalid', { field: 'pre_keys', message: 'must not be empty' })
}

function ecKey(key: WireEcPreKey) {
  if (key.keyId >= 0 && key.keyId <= MAX_KEY_ID && key.publicKey.length === EC_PUBLIC_KEY_BYTES) return key
  throw new Refusal('invalid', { field: 'pre_keys', message: 'must be EC pre-keys' })
}

/** Refuses what is not a signed pre-key with a public key of so many bytes (CONSTRAINT_VIOLATED). */
export function signed(key: EcSignedPreKey | null, size: number): EcSignedPreKey {
  if (key && key.keyId >= 0 && key.publicKey.length === size && key.signature.length === SIGNATURE_BYTES)
    return key
  throw new Refusal('invalid', { field: 'signed_pre_key', message: 'must be a signed pre-key' })
}

const bundles = (taken: Extract<Taken, { kind: 'taken' }>) => ({
  identityKey: taken.identityKey,
  devicePreKeys: Object.fromEntries(taken.devices.map((device) => [device.deviceId, bundle(device)])),
  unrestrictedUnidentifiedAccess: taken.account.unrestrictedUnidentifiedAccess,
  unidentifiedAccessKeyFingerprint: accessKeyFingerprint(taken.account),
})

const bundle = (device: DeviceBundle) => ({
  ecSignedPreKey: device.signedEc,
  ...(device.ec && { ecOneTimePreKey: device.ec }),
  kemOneTimePreKey: device.kem,
  registrationId: device.registrationId,
})
