import { BackupCredentialType } from '@signalapp/libsignal-client/dist/zkgroup/index.js'
import type { Accounts } from '../../../wire/gen/account.js'
import {
  BackupStreamClosed,
  BackupsAnonymous,
  Backups as BackupsService,
  type CopyMediaItem,
  type GetUploadFormRequest,
  type SignedPresentation,
} from '../../../wire/gen/backups.js'
import { BACKUP_CDN } from '../../kit/backup-objects.ts'
import { type GrpcHandlers, type GrpcMethod, implementService, type Replies } from '../../kit/grpc-service.ts'
import { GrpcCode, GrpcFailure } from '../../kit/grpc-status.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { BackupCredentials } from './backup-credentials.ts'
import type { BackupMedia, Copied, Copy } from './backup-media.ts'
import type { BackupUser } from './backup-user.ts'
import type { Backups, Formed } from './backups.ts'

type Signed = { readonly signedPresentation: SignedPresentation | null }

const FAILED = { failedAuthentication: {} } as const
const SUCCESS = { success: {} } as const
const REDEEMED = {
  redeemed: SUCCESS,
  invalid: { invalidReceipt: {} },
  uncommitted: { accountMissingCommitment: {} },
} as const

const signed = ({ signedPresentation }: Signed) => ({
  presentation: present(signedPresentation?.presentation),
  signature: present(signedPresentation?.presentationSignature),
})
/** Proto3 does not tell empty from absent. */
const present = (bytes: Uint8Array | undefined) => (bytes?.length ? bytes : undefined)

export function backupsGrpc(
  credentials: BackupCredentials,
  backups: Backups,
  media: BackupMedia,
): GrpcMethod[] {
  /** Answers for who shows the right credential. */
  const by =
    <Request extends Signed, Reply>(answer: (user: BackupUser, request: Request) => Reply | Promise<Reply>) =>
    async (request: Request) => {
      const user = await backups.authenticate(signed(request))
      return user ? answer(user, request) : FAILED
    }
  const streamBy =
    <Request extends Signed, Item, Reply>(
      items: (user: BackupUser, request: Request) => AsyncIterable<Item>,
      replyOf: (item: Item) => Reply,
    ) =>
    async (request: Request, replies: Replies<Reply>) => {
      const user = (await backups.authenticate(signed(request))) ?? closeStream()
      for await (const item of items(user, request)) await replies.send(replyOf(item))
    }
  const formFor = (user: BackupUser, { uploadType, uploadLength }: GetUploadFormRequest) => {
    switch (uploadType) {
      case 'messages':
        return backups.messagesForm(user, uploadLength)
      case 'media':
        return backups.mediaForm(user, uploadLength)
      default:
        throw new Refusal('invalid', { field: 'upload_type', message: 'must be present' })
    }
  }

  return [
    ...implementService(BackupsService, {
      async setBackupId(request, { device }) {
        await credentials.setBackupId(device, {
          messages: present(request.messagesBackupAuthCredentialRequest),
          media: present(request.mediaBackupAuthCredentialRequest),
        })
        return {}
      },
      redeemReceipt: async ({ presentation }, { device }) =>
        REDEEMED[await credentials.redeem(device, presentation)],
      async getBackupAuthCredentials({ redemptionStart, redemptionStop }, { device }) {
        const issued = await credentials.issue(device, redemptionStart, redemptionStop)
        return { credentials: issued && byDay(issued) }
      },
    }),
    ...implementService(BackupsAnonymous, {
      getCdnCredentials: by((user, { cdn }) => ({
        cdnCredentials: { headers: backups.readHeaders(user, cdn) },
      })),
      getSvrBCredentials: by((user) => ({ svrbCredentials: backups.svrbCredentials(user) })),
      getMessageBackupInfo: by((user) => {
        const { backupDir, cdn, backupName } = backups.infoFor(user, BackupCredentialType.Messages)
        return { backupInfo: { backupDir, cdn, backupName } }
      }),
      getMediaBackupInfo: by((user) => {
        const { backupDir, mediaDir, usedBytes } = backups.infoFor(user, BackupCredentialType.Media)
        return { backupInfo: { backupDir, mediaDir, usedSpace: usedBytes } }
      }),
      setPublicKey: async (request) =>
        (await backups.setPublicKey(signed(request), request.publicKey)) ? SUCCESS : FAILED,
      refresh: by(async (user) => {
        await backups.refresh(user)
        return SUCCESS
      }),
      getUploadForm: by(async (user, request: GetUploadFormRequest) =>
        formReply(await formFor(user, request)),
      ),
      copyMedia: streamBy((user, { items }) => media.copy(user, items.map(copyOf)), copiedReply),
      listMedia: by(async (user, request) => {
        const { media: stored, ...page } = await media.list(
          user,
          request.cursor ?? undefined,
          request.limit ?? undefined,
        )
        const entries = stored.map(({ bytes, ...name }) => ({ ...name, length: bytes }))
        return { listResult: { page: entries, ...page } }
      }),
      deleteMedia: streamBy(
        (user, { items }) => media.delete(user, items),
        (name) => ({ deletedItem: name }),
      ),
      deleteAll: by(async (user) => {
        await backups.deleteAll(user)
        return SUCCESS
      }),
    }),
  ]
}

export const entitlementsGrpc = (
  credentials: BackupCredentials,
): Pick<GrpcHandlers<typeof Accounts>, 'getEntitlements'> => ({
  async getEntitlements(_, { device }) {
    const entitlement = await credentials.entitlement(device.aci)
    return {
      backup: entitlement && {
        level: entitlement.backupLevel,
        expirationEpochSeconds: entitlement.expirationSeconds,
      },
    }
  },
})

/** A stream has no reply for it: the reason is a detail of its end. */
function closeStream(): never {
  throw new GrpcFailure({
    code: GrpcCode.aborted,
    reason: 'STREAM_CLOSED',
    own: {
      name: 'org.signal.chat.backup.BackupStreamClosed',
      bytes: BackupStreamClosed.encode(FAILED).finish(),
    },
  })
}

type Issued = NonNullable<Awaited<ReturnType<BackupCredentials['issue']>>>

const byDay = ({ messages, media }: Issued) => ({
  messageCredentials: dated(messages),
  mediaCredentials: dated(media),
})
const dated = (credentials: Issued['media']) =>
  Object.fromEntries(
    credentials.map(({ credential, redemptionSeconds }) => [
      redemptionSeconds,
      { redemptionTime: redemptionSeconds, credential },
    ]),
  )

const formReply = (formed: Formed) =>
  formed.kind === 'formed' ? { uploadForm: formed.form } : { exceedsMaxUploadLength: {} }

const copyOf = (item: CopyMediaItem): Copy => ({
  source: { cdn: item.sourceAttachmentCdn, key: item.sourceKey, bytes: item.objectLength },
  layer: { hmacKey: item.hmacKey, encryptionKey: item.encryptionKey },
  mediaId: item.mediaId,
})

const OUTCOME = {
  copied: { success: { cdn: BACKUP_CDN } },
  'source-not-found': { sourceNotFound: {} },
  'wrong-length': { wrongSourceLength: {} },
  'out-of-space': { outOfSpace: {} },
} as const

const copiedReply = ({ mediaId, kind }: Copied) => ({ mediaId, ...OUTCOME[kind] })
