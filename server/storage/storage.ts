// The storage service: encrypted account records, and groups.
import { join } from 'node:path'
import type { Bound } from '../../wire/route.ts'
import type { Aci } from '../../wire/types.ts'
import type { Clock } from '../kit/clock.ts'
import type { Config } from '../kit/config.ts'
import { externalServices } from '../kit/external-credentials.ts'
import { Housekeeping } from '../kit/housekeeping.ts'
import { PostPolicy } from '../kit/post-policy.ts'
import type { Random } from '../kit/random.ts'
import type { Secrets } from '../kit/secrets.ts'
import { migrate } from '../kit/sql/migrate.ts'
import type { Sql, Statement } from '../kit/sql/sql.ts'
import type { StoredObjects } from '../kit/stored-objects.ts'
import type { StorageEvents } from './events.ts'
import { GroupAvatarSweep } from './groups/avatar-sweep.ts'
import { DoubtfulAvatarStore } from './groups/doubtful-avatar-store.ts'
import { GroupAvatars } from './groups/group-avatars.ts'
import { GroupLog } from './groups/group-log.ts'
import { GroupTokens } from './groups/group-tokens.ts'
import { Groups } from './groups/groups.ts'
import { Joining } from './groups/joining.ts'
import { Prover } from './groups/prover.ts'
import { groupsRest } from './groups/rest.ts'
import { GroupStore } from './groups/store.ts'
import { Visits } from './groups/visits.ts'
import { Records } from './records/records.ts'
import { recordsRest } from './records/rest.ts'
import { RecordStore } from './records/store.ts'

export type StorageOptions = {
  readonly sql: Sql
  readonly clock: Clock
  readonly random: Random
  readonly secrets: Secrets
  readonly config: Pick<Config, 'groups'>
  readonly events: StorageEvents
  /** Removes pictures that no group names any more; without it they wait. */
  readonly objects?: StoredObjects | undefined
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
const SWEEP_EVERY_MS = 3_600_000

export async function openStorage(options: StorageOptions): Promise<Storage> {
  const { sql, clock, random, secrets, config, events, onBug } = options
  await migrate(sql, 'storage', join(import.meta.dirname, 'migrations'), clock.nowMs())
  const services = externalServices(secrets, clock)
  const store = new RecordStore(sql)
  const records = new Records({ store, credentials: services.storage, clock, events })
  const housekeeping = new Housekeeping(clock, onBug)
  housekeeping.every(FORGET_EVERY_MS, 'records.forget', () => records.forgetDeleted())
  const prover = new Prover({ secrets, clock, onBug })
  const groupStore = new GroupStore(sql)
  const visits = new Visits(groupStore, prover)
  const { maxSize, maxTitleBytes, maxDescriptionBytes } = config.groups
  const limits = { maxGroupSize: maxSize, maxTitleBytes, maxDescriptionBytes }
  const doubtful = new DoubtfulAvatarStore(sql)
  const groups = new Groups({ store: groupStore, doubtful, visits, prover, clock, limits, events })
  const avatarSweep = new GroupAvatarSweep({
    ...{ groups: groupStore, doubtful, clock, onBug },
    objects: options.objects,
  })
  housekeeping.every(SWEEP_EVERY_MS, 'groups.avatars', (closing) => avatarSweep.sweep(closing))
  const log = new GroupLog({ store: groupStore, visits, prover, clock })
  const joining = new Joining(visits, maxSize)
  const policy = new PostPolicy(secrets.uploads, clock)
  const avatars = new GroupAvatars({ visits, policy, random, clock, doubtful })
  const tokens = new GroupTokens(visits, secrets.groupTokenSecret, clock)
  return {
    rest: [...recordsRest(records), ...groupsRest({ groups, log, joining, avatars, tokens })],
    belongings: records,
    async close() {
      await housekeeping.close()
      await prover.close()
    },
  }
}
