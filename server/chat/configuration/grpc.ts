import { createHash } from 'node:crypto'
import { RemoteConfiguration } from '../../../wire/gen/remote_configuration.js'
import { type GrpcMethod, implementService } from '../../kit/grpc-service.ts'
import type { Configuration } from './configuration.ts'

/** This server gives no badges. */
const NO_BADGES = { badges: { badges: {} }, etag: createHash('sha256').digest() }

export const configurationGrpc = (configuration: Configuration): GrpcMethod[] =>
  implementService(RemoteConfiguration, {
    async getConfiguration({ etag }, { device, userAgent }) {
      const { values, tag } = configuration.for(device.aci, userAgent)
      if (tag.equals(etag)) return { etagMatched: true }
      return { taggedConfiguration: { configuration: { configuration: values }, etag: tag } }
    },
    async getBadges({ etag }) {
      return NO_BADGES.etag.equals(etag) ? { etagMatched: true } : { taggedBadges: NO_BADGES }
    },
  })
