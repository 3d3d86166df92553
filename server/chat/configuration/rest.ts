import { configurationRoutes } from '../../../wire/rest/configuration.ts'
import { keepaliveRoutes } from '../../../wire/rest/keepalive.ts'
import { type Bound, implement } from '../../../wire/route.ts'
import { type Configuration, etagOf, matches } from './configuration.ts'
import { type BackupRules, productsOf } from './products.ts'

export const configurationRest = (configuration: Configuration, backups: BackupRules): Bound[] =>
  implement(configurationRoutes, {
    async products() {
      return { status: 200, body: productsOf(backups) }
    },
    async get({ caller, headers, userAgent }) {
      const published = configuration.for(caller.aci, userAgent)
      const etag = etagOf(published)
      const tag = { ETag: `"${etag}"` }
      if (matches(etag, headers['if-none-match'])) return { status: 304, headers: tag }
      return { status: 200, headers: tag, body: { config: published.values } }
    },
  })

export const keepaliveRest = (): Bound[] =>
  implement(keepaliveRoutes, {
    async keepalive({ door }) {
      return { status: door === 'websocket' ? 200 : 404 }
    },
  })
