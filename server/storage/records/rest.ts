import { storageRecordsRoutes } from '../../../wire/rest/storage-records.ts'
import { type Bound, implement } from '../../../wire/route.ts'
import type { Records, WriteOutcome } from './records.ts'
import type { Manifest } from './store.ts'

export const recordsRest = (records: Records): Bound[] =>
  implement(
    storageRecordsRoutes,
    {
      async manifest({ caller }) {
        return orStatus(404, await records.manifest(caller))
      },
      async newerManifest({ caller, params }) {
        return orStatus(204, await records.newerManifest(caller, params.knownVersion))
      },
      async write({ caller, body }) {
        const { manifest, insertItem, deleteKey, clearAll } = body
        const request = { manifest: manifest ?? undefined, inserts: insertItem, deletes: deleteKey, clearAll }
        return writeReply(await records.write(caller, request))
      },
      async read({ caller, body }) {
        return { status: 200, body: { items: await records.read(caller, body.readKey) } }
      },
      async clear({ caller }) {
        await records.clear(caller)
        return { status: 200 }
      },
    },
    (credentials) => records.knows(credentials),
  )

const orStatus = <const Status>(status: Status, body: Manifest | undefined) =>
  body ? ({ status: 200, body } as const) : { status }

const writeReply = (outcome: WriteOutcome) =>
  outcome.kind === 'written' ? ({ status: 200 } as const) : ({ status: 409, body: outcome.current } as const)
