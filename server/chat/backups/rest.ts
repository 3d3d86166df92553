import { backupsRoutes } from '../../../wire/rest/backups.ts'
import { type Bound, implement } from '../../../wire/route.ts'
import { BACKUP_CDN } from '../../kit/backup-objects.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { BackupCredentials } from './backup-credentials.ts'
import type { BackupMedia, Copied, Copy } from './backup-media.ts'
import type { BackupUser } from './backup-user.ts'
import type { Backups, Formed } from './backups.ts'

type Proof = Readonly<Record<'x-signal-zk-auth' | 'x-signal-zk-auth-signature', Uint8Array | undefined>>
type WireCopy = Omit<Copy, 'source' | 'layer'> &
  Copy['layer'] & {
    readonly sourceAttachment: Omit<Copy['source'], 'bytes'>
    readonly objectLength: number
  }

const copyOf = ({ sourceAttachment, objectLength, mediaId, hmacKey, encryptionKey }: WireCopy): Copy => ({
  source: { ...sourceAttachment, bytes: objectLength },
  layer: { hmacKey, encryptionKey },
  mediaId,
})

const STATUS = { copied: 200, 'wrong-length': 400, 'source-not-found': 410, 'out-of-space': 413 } as const
const REASON = {
  'wrong-length': 'The source has another length',
  'source-not-found': 'The source is not there',
  'out-of-space': 'There is no space left',
} as const

const entryOf = ({ mediaId, kind }: Copied) =>
  kind === 'copied'
    ? { status: STATUS[kind], cdn: BACKUP_CDN, mediaId }
    : { status: STATUS[kind], failureReason: REASON[kind], mediaId }

const formReply = (formed: Formed) =>
  formed.kind === 'formed' ? { status: 200 as const, body: formed.form } : { status: 413 as const }

function refuse(): never {
  throw new Refusal('invalid-credentials')
}

export function backupsRest(credentials: BackupCredentials, backups: Backups, media: BackupMedia): Bound[] {
  const signed = (headers: Proof) => ({
    presentation: headers['x-signal-zk-auth'],
    signature: headers['x-signal-zk-auth-signature'],
  })
  const userOf = async (headers: Proof): Promise<BackupUser> =>
    (await backups.authenticate(signed(headers))) ?? refuse()

  return implement(backupsRoutes, {
    async setBackupId({ caller, body }) {
      await credentials.setBackupId(caller, {
        messages: body.messagesBackupAuthCredentialRequest ?? undefined,
        media: body.mediaBackupAuthCredentialRequest ?? undefined,
      })
      return { status: 204 }
    },
    async limits({ caller }) {
      const retryAfterSeconds = await credentials.secondsToNextId(caller)
      return { status: 200, body: { hasPermitsRemaining: retryAfterSeconds === 0, retryAfterSeconds } }
    },
    async redeemReceipt({ caller, body }) {
      const redeemed = await credentials.redeem(caller, body.receiptCredentialPresentation)
      return { status: ({ redeemed: 204, invalid: 400, uncommitted: 409 } as const)[redeemed] }
    },
    async credentials({ caller, query }) {
      const { redemptionStartSeconds, redemptionEndSeconds } = query
      const issued = await credentials.issue(caller, redemptionStartSeconds, redemptionEndSeconds)
      return issued ? { status: 200, body: { credentials: datedBody(issued) } } : { status: 404 }
    },
    async setPublicKey({ headers, body }) {
      const isSet = await backups.setPublicKey(signed(headers), body.backupIdPublicKey)
      return { status: isSet ? 204 : 401 }
    },
    async readAuth({ headers, query }) {
      const user = await userOf(headers)
      return { status: 200, body: { headers: backups.readHeaders(user, query.cdn) } }
    },
    async svrbAuth({ headers }) {
      return { status: 200, body: backups.svrbCredentials(await userOf(headers)) }
    },
    async info({ headers }) {
      const { usedBytes, ...info } = backups.info(await userOf(headers))
      return { status: 200, body: { ...info, usedSpace: usedBytes } }
    },
    async refresh({ headers }) {
      await backups.refresh(await userOf(headers))
      return { status: 204 }
    },
    async deleteAll({ headers }) {
      await backups.deleteAll(await userOf(headers))
      return { status: 204 }
    },
    async messagesForm({ headers, query }) {
      return formReply(await backups.messagesForm(await userOf(headers), query.uploadLength))
    },
    async mediaForm({ headers, query }) {
      return formReply(await backups.mediaForm(await userOf(headers), query.uploadLength))
    },
    async copyMedia({ headers, body }) {
      const [copied] = await Array.fromAsync(media.copy(await userOf(headers), [copyOf(body)]))
      const status = STATUS[copied!.kind]
      return status === 200 ? { status, body: { cdn: BACKUP_CDN } } : { status }
    },
    async copyMediaBatch({ headers, body }) {
      const copied = await Array.fromAsync(media.copy(await userOf(headers), body.items.map(copyOf)))
      return { status: 207, body: { responses: copied.map(entryOf) } }
    },
    async listMedia({ headers, query }) {
      const { media: stored, ...page } = await media.list(await userOf(headers), query.cursor, query.limit)
      const storedMediaObjects = stored.map(({ bytes, ...name }) => ({ ...name, objectLength: bytes }))
      return { status: 200, body: { storedMediaObjects, ...page } }
    },
    async deleteMedia({ headers, body }) {
      await Array.fromAsync(media.delete(await userOf(headers), body.mediaToDelete))
      return { status: 204 }
    },
  })
}

type Issued = NonNullable<Awaited<ReturnType<BackupCredentials['issue']>>>

const datedBody = ({ messages, media }: Issued) => ({
  messages: messages.map(timed),
  media: media.map(timed),
})
const timed = ({ credential, redemptionSeconds }: Issued['media'][number]) => ({
  credential,
  redemptionTime: redemptionSeconds,
})
