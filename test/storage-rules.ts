// The storage service's tables, and an account's records over them on a clock wound by hand, without its doors.
import { join } from 'node:path'
import { ManualClock } from '../server/kit/clock.ts'
import { Counters } from '../server/kit/counters.ts'
import { ExternalServiceCredentials } from '../server/kit/external-credentials.ts'
import { migrate } from '../server/kit/sql/migrate.ts'
import type { Sql } from '../server/kit/sql/sql.ts'
import { storageEvents } from '../server/storage/events.ts'
import { Records } from '../server/storage/records/records.ts'
import { RecordStore } from '../server/storage/records/store.ts'
import type { OpenEngine } from './engines.ts'
import { newAci } from './sample-account.ts'

const MIGRATIONS = join(import.meta.dirname, '..', 'server', 'storage', 'migrations')

/** An empty database with the storage service's tables. */
export async function openStorageTables(open: OpenEngine): Promise<Sql> {
  const sql = await open()
  await migrate(sql, 'storage', MIGRATIONS, 0)
  return sql
}

/** Records, and somebody who has credentials for their own. */
export async function openRecords(open: OpenEngine) {
  const sql = await openStorageTables(open)
  const clock = new ManualClock()
  const store = new RecordStore(sql)
  const counters = new Counters()
  const events = storageEvents(counters)
  const credentials = new ExternalServiceCredentials({ clock, secret: Buffer.alloc(32, 7) })
  const records = new Records({ store, credentials, clock, events })
  /** Another process of the same service, by its own connection to the same database. */
  const again = (other: Sql) => new Records({ store: new RecordStore(other), credentials, clock, events })
  const aci = newAci()
  return { sql, clock, store, counters, credentials, records, again, aci, own: credentials.issue(aci) }
}
