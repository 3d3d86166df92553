// What runs in the threads of the issuer: each zkgroup credential takes one to two milliseconds.
import { Aci, Pni, ServiceId } from '@signalapp/libsignal-client/dist/Address.js'
import {
  AvatarUploadCredentialPresentation,
  AvatarUploadCredentialRequest,
  BackupAuthCredentialPresentation,
  BackupAuthCredentialRequest,
  type BackupCredentialType,
  type BackupLevel,
  CallLinkAuthCredentialResponse,
  CreateCallLinkCredentialRequest,
  GenericServerSecretParams,
  GroupSendDerivedKeyPair,
  GroupSendFullToken,
  ProfileKeyCommitment,
  ProfileKeyCredentialRequest,
  ReceiptCredentialPresentation,
  ReceiptCredentialRequest,
  ServerSecretParams,
  ServerZkAuthOperations,
  ServerZkProfileOperations,
  ServerZkReceiptOperations,
  ZkCredentialPublicKey,
} from '@signalapp/libsignal-client/dist/zkgroup/index.js'

type Bytes = Uint8Array<ArrayBuffer>

/** Serialized server parameters. They must stay secret. */
export type IssuingSecrets = { readonly server: Bytes; readonly calling: Bytes; readonly chat: Bytes }

export type Dated = { readonly credential: Bytes; readonly redemptionSeconds: number }
export type Issuing = ReturnType<typeof open>

/** Parameters are parsed once a thread. Every time is in seconds at the start of a day (UTC). */
export function open(secrets: IssuingSecrets) {
  const server = new ServerSecretParams(secrets.server)
  const calling = new GenericServerSecretParams(secrets.calling)
  const chat = new GenericServerSecretParams(secrets.chat)
  const auth = new ServerZkAuthOperations(server)
  const profiles = new ServerZkProfileOperations(server)
  const receipts = new ServerZkReceiptOperations(server)
  return {
    groupAuth(aci: string, pni: string, days: readonly number[]): Dated[] {
      const [holder, number] = [Aci.parseFromServiceIdString(aci), Pni.parseFromServiceIdString(pni)]
      return dated(days, (day) => auth.issueAuthCredentialWithPniZkc(holder, number, day))
    },
    groupAuthWithoutPni(aci: string, salt: Bytes, days: readonly number[]): Dated[] {
      const holder = Aci.parseFromServiceIdString(aci)
      return dated(days, (day) => auth.issueAuthCredentialZkcWithoutPni(holder, salt, day))
    },
    receipt: (request: Bytes, expirationSeconds: number, level: bigint): Bytes | undefined =>
      ofClient(() =>
        receipts.issueReceiptCredential(new ReceiptCredentialRequest(request), expirationSeconds, level),
      ),
    callLinkAuth(aci: string, days: readonly number[]): Dated[] {
      const holder = Aci.parseFromServiceIdString(aci)
      return dated(days, (day) => CallLinkAuthCredentialResponse.issueCredential(holder, day, calling))
    },
    createCallLink: (request: Bytes, aci: string, day: number): Bytes | undefined =>
      ofClient(() =>
        new CreateCallLinkCredentialRequest(request).issueCredential(
          Aci.parseFromServiceIdString(aci),
          day,
          calling,
        ),
      ),
    profileKey: (
      request: Bytes,
      aci: string,
      commitment: Bytes,
      expirationSeconds: number,
    ): Bytes | undefined =>
      ofClient(() =>
        profiles.issueExpiringProfileKeyCredential(
          new ProfileKeyCredentialRequest(request),
          Aci.parseFromServiceIdString(aci),
          new ProfileKeyCommitment(commitment),
          expirationSeconds,
        ),
      ),
    backupAuth(
      request: Bytes,
      level: BackupLevel,
      type: BackupCredentialType,
      days: readonly number[],
    ): Dated[] {
      const asked = new BackupAuthCredentialRequest(request)
      return dated(days, (day) => asked.issueCredential(day, level, type, chat))
    },
    avatarUpload: (
      request: Bytes,
      aci: string,
      zkCredentialKey: Bytes,
      rotationId: bigint,
      day: number,
    ): Bytes | undefined =>
      ofClient(() =>
        new AvatarUploadCredentialRequest(request).issueCredential(
          Aci.parseFromServiceIdString(aci),
          new ZkCredentialPublicKey(zkCredentialKey),
          rotationId,
          new Date(day * 1000),
          chat,
        ),
      ),
    avatarShown: (presentation: Bytes, nowMs: number): boolean =>
      holds(() => new AvatarUploadCredentialPresentation(presentation).verify(chat, new Date(nowMs))),
    backupShown: (presentation: Bytes, nowMs: number): boolean =>
      holds(() => new BackupAuthCredentialPresentation(presentation).verify(chat, new Date(nowMs))),
    groupSendToken: (token: Bytes, ids: readonly string[], nowMs: number): boolean =>
      holds(() => {
        const shown = new GroupSendFullToken(token)
        const pair = GroupSendDerivedKeyPair.forExpiration(shown.getExpiration(), server)
        shown.verify(
          ids.map((id) => ServiceId.parseFromServiceIdString(id)),
          pair,
          new Date(nowMs),
        )
      }),
    receiptShown: (presentation: Bytes): boolean =>
      holds(() =>
        receipts.verifyReceiptCredentialPresentation(new ReceiptCredentialPresentation(presentation)),
      ),
  }
}

type Serializable = { serialize(): Bytes }

const dated = (days: readonly number[], issue: (day: number) => Serializable): Dated[] =>
  days.map((day) => ({ credential: issue(day).serialize(), redemptionSeconds: day }))

/** Nothing, if what the client sent is no such request or its proof does not hold. */
function ofClient(issue: () => Serializable): Bytes | undefined {
  try {
    return issue().serialize()
  } catch {
    return undefined
  }
}

function holds(verify: () => void): boolean {
  try {
    verify()
    return true
  } catch {
    return false
  }
}
