// Permission to upload: attachments of messages, and packs of stickers (signal-api §2.18, §2.19). The bytes go elsewhere.
import type { Aci } from '../../../wire/types.ts'
import type { Limits } from '../../kit/limits.ts'
import type { PostForm, PostPolicy } from '../../kit/post-policy.ts'
import type { Random } from '../../kit/random.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { Cdn, UploadForm, UploadForms } from './upload-forms.ts'

export const MAX_STICKERS = 201
export const MAX_STICKER_MANIFEST_BYTES = 10 * 1024
/** 300 KiB, and 1 KiB for its encryption. */
export const MAX_STICKER_BYTES = 301 * 1024
const PACK_ID_BYTES = 16

export type Formed = { readonly kind: 'formed'; readonly form: UploadForm } | { readonly kind: 'too-large' }

export type StickerForms = {
  /** 32 hexadecimal digits. */
  readonly packId: string
  readonly manifest: PostForm
  readonly stickers: readonly PostForm[]
}

export type AttachmentsOptions = {
  readonly forms: UploadForms
  readonly policy: PostPolicy
  readonly limits: Limits
  readonly random: Random
  readonly maxBytes: number
  readonly cdn: Cdn
}

export class Attachments {
  readonly #options: AttachmentsOptions

  constructor(options: AttachmentsOptions) {
    this.#options = options
  }

  /** A form for an object of so many bytes; of any length that is allowed, if the client does not say. */
  async form(aci: Aci, uploadBytes: number | undefined): Promise<Formed> {
    const { forms, maxBytes, cdn } = this.#options
    if (uploadBytes === 0)
      throw new Refusal('bad-request', { field: 'upload_length', message: 'must be at least 1' })
    if (uploadBytes !== undefined && uploadBytes > maxBytes) return { kind: 'too-large' }
    await this.#takePermits(aci, uploadBytes)
    return { kind: 'formed', form: forms.attachment(uploadBytes ?? maxBytes, cdn) }
  }

  /** Forms for a new pack: one for its manifest, and one for each sticker. */
  async stickers(aci: Aci, count: number): Promise<StickerForms> {
    const { policy, limits, random } = this.#options
    if (count < 1 || count > MAX_STICKERS)
      throw new Refusal('invalid', { field: 'sticker_count', message: 'must be 1 to 201' })
    await limits.take('stickerPack', aci)
    const packId = random.bytes(PACK_ID_BYTES).toString('hex')
    const sticker = (index: number) =>
      policy.formFor(`stickers/${packId}/full/${index}`, { maxBytes: MAX_STICKER_BYTES })
    return {
      packId,
      manifest: policy.formFor(`stickers/${packId}/manifest.proto`, { maxBytes: MAX_STICKER_MANIFEST_BYTES }),
      stickers: Array.from({ length: count }, (_, index) => sticker(index)),
    }
  }

  /** Pitfall 30: whoever has no bytes left does not lose a form as well. */
  async #takePermits(aci: Aci, uploadBytes: number | undefined): Promise<void> {
    const { limits } = this.#options
    await limits.take('attachmentCreate', aci)
    if (uploadBytes === undefined) return
    try {
      await limits.take('attachmentCreateBytes', aci, uploadBytes)
    } catch (error) {
      await limits.restore('attachmentCreate', aci)
      throw error
    }
  }
}
