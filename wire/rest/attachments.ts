// Permission to upload attachments and stickers (docs/protocol/attachments.md).
import { z } from 'zod'
import { json, nothing, route } from '../route.ts'
import { decimal } from '../types.ts'
import { PostForm } from './profiles.ts'

/** `uploadLength=` in bytes; absent means as much as is allowed. */
export const uploadLength = decimal(z.int().min(0)).optional()

export const UploadForm = z.object({
  cdn: z.int(),
  key: z.string(),
  headers: z.record(z.string(), z.string()),
  signedUploadLocation: z.string(),
})

const StickerForm = PostForm.extend({ id: z.int() })

export const attachmentsRoutes = {
  form: route({
    method: 'GET',
    path: '/v4/attachments/form/upload',
    auth: 'device',
    summary: 'A form for one attachment',
    limiters: ['attachmentCreate', 'attachmentCreateBytes'],
    query: { uploadLength },
    replies: { 200: json(UploadForm), 400: nothing, 413: nothing },
  }),
  stickers: route({
    method: 'GET',
    path: '/v1/sticker/pack/form/:stickerCount',
    auth: 'device',
    summary: 'Forms for a new pack of stickers',
    limiters: ['stickerPack'],
    params: { stickerCount: decimal(z.int().min(1).max(201)) },
    replies: {
      200: json(
        z.object({
          packId: z.string(),
          // Its id is -1.
          manifest: StickerForm,
          stickers: z.array(StickerForm),
        }),
      ),
    },
  }),
}
