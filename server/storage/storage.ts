// The storage service: encrypted account records, and groups.
import { join } from 'node:path'
import type { Bound } from '../../wire/route.ts'
import type { Aci } from '../../wire/types.ts'
import type { Clock } from '../kit/clock.ts'
import { externalServices } from '../kit/external-credentials.ts'
import type { Secrets } from '../kit/secrets.ts'
import { migrate } from '../kit/sql/migrate.ts'
import type { Sql, Statement } from '../kit/sql/sql.ts'
import type { StorageEvents } from './events.ts'
import { Records } from './records/records.ts'
import { recordsRest } from './records/rest.ts'
import { RecordStore } from './records/store.ts'

export type StorageOptions = {
  readonly sql: Sql
  readonly clock: Clock
  readonly secrets: Secrets
  readonly events: StorageEvents
  readonly onBug: (error: unknown, where: string) => void
}

export type Storage = {
  readonly rest: readonly Bound[]
  /** What becomes of an account's records: statements for the transaction that changes the account. */
  readonly belongings: { deleted(account: { readonly aci: Aci }): readonly Statement[] }
  /** The database may be closed afterwards. */
  close(): Promise<void>
}

const FORGET_EVERY_MS = 3_600_000

export async function openStorage(options: StorageOptions): Promise<Storage> {
  const { sql, clock, secrets, events, onBug } = options
  await migrate(sql, 'storage', join(import.meta.dirname, 'migrations'), clock.nowMs())
  const services = externalServices(secrets, clock)
  const store = new RecordStore(sql)
  const records = new Records({ store, credentials: services.storage, clock, events })
  const forgetting = clock.every(FORGET_EVERY_MS, () => {
    records.forgetDeleted().catch((error) => onBug(error, 'expiry of records'))
  })
  return {
    rest: [...recordsRest(records)],
    belongings: records,
    async close() {
      forgetting.cancel()
    },
  }
}
