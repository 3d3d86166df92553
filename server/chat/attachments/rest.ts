import { attachmentsRoutes } from '../../../wire/rest/attachments.ts'
import { type Bound, implement } from '../../../wire/route.ts'
import type { Attachments } from './attachments.ts'

const MANIFEST_ID = -1

export const attachmentsRest = (attachments: Attachments): Bound[] =>
  implement(attachmentsRoutes, {
    async form({ caller, query }) {
      const formed = await attachments.form(caller.aci, query.uploadLength)
      return formed.kind === 'formed' ? { status: 200, body: formed.form } : { status: 413 }
    },
    async stickers({ caller, params }) {
      const { packId, manifest, stickers } = await attachments.stickers(caller.aci, params.stickerCount)
      return {
        status: 200,
        body: {
          packId,
          manifest: { id: MANIFEST_ID, ...manifest },
          stickers: stickers.map((form, id) => ({ id, ...form })),
        },
      }
    },
  })
