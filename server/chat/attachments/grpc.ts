import { Attachments as AttachmentsService } from '../../../wire/gen/attachments.js'
import { type GrpcMethod, implementService } from '../../kit/grpc-service.ts'
import type { Attachments } from './attachments.ts'

export const attachmentsGrpc = (attachments: Attachments): GrpcMethod[] =>
  implementService(AttachmentsService, {
    async getUploadForm({ uploadLength }, { device }) {
      const formed = await attachments.form(device.aci, uploadLength)
      return formed.kind === 'formed' ? { uploadForm: formed.form } : { exceedsMaxUploadLength: {} }
    },
    async getStickerUploadForm({ stickerCount }, { device }) {
      const { packId, manifest, stickers } = await attachments.stickers(device.aci, stickerCount)
      return { packId, manifestUploadForm: manifest, stickerUploadForms: stickers }
    },
  })
