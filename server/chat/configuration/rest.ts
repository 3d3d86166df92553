import { configurationRoutes } from '../../../wire/rest/configuration.ts'
import { keepaliveRoutes } from '../../../wire/rest/keepalive.ts'
import { type Bound, implement } from '../../../wire/route.ts'
import type { Configuration } from './configuration.ts'

export const configurationRest = (configuration: Configuration): Bound[] =>
  implement(configurationRoutes, {
    async get({ headers }) {
      const tag = { ETag: `"${configuration.etag}"` }
      if (configuration.matches(headers['if-none-match'])) return { status: 304, headers: tag }
      return { status: 200, headers: tag, body: { config: configuration.values } }
    },
  })

export const keepaliveRest = (): Bound[] =>
  implement(keepaliveRoutes, {
    async keepalive({ door }) {
      return { status: door === 'websocket' ? 200 : 404 }
    },
  })
