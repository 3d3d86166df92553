import { type Aci, compact, type DeviceAddress, type DeviceId, uuidToBytes } from '../../../wire/types.ts'
import { outcomesOf, type Sql, type SqlValue, type Statement } from '../../kit/sql/sql.ts'
import { type Account, addressOf, type Device } from '../accounts/account.ts'

/** The queue of one device, in one of its lives: a device linked anew under an old id has another. */
export class Queue implements DeviceAddress {
  readonly aci: Aci
  readonly deviceId: DeviceId
  readonly deviceCreatedAtMs: number
  /** Where its reader is told of what happens. */
  readonly channel: string
  readonly key: readonly SqlValue[]
  /** The device does not fetch by itself: somebody has to wake it. */
  readonly isWakeable: boolean

  constructor(aci: Aci, deviceId: DeviceId, deviceCreatedAtMs: number, isWakeable = false) {
    this.aci = aci
    this.deviceId = deviceId
    this.deviceCreatedAtMs = deviceCreatedAtMs
    this.isWakeable = isWakeable
    this.channel = `queue:${aci}.${deviceId}.${deviceCreatedAtMs}`
    this.key = [compact(uuidToBytes(aci)), deviceId, deviceCreatedAtMs]
  }
}

const queues = new WeakMap<Device, Queue>()

/** The queue of a device; the same object for the same device. */
export function queueOf(account: Account, device: Device): Queue {
  const known = queues.get(device)
  if (known) return known
  const queue = new Queue(account.aci, device.id, device.createdAtMs, addressOf(device) !== undefined)
  queues.set(device, queue)
  return queue
}

/** What many copies of a message end with, kept once; `id` is random. */
export type SharedContent = { readonly id: Uint8Array; readonly bytes: Uint8Array }

/** A message in a queue. `seq` rises within the queue. */
export type Queued = { readonly seq: number; readonly envelope: Uint8Array }

const OF = 'aci = $1 AND device_id = $2 AND device_created_at_ms = $3'

/** A shared content is gone with the last of the copies that `which` (a condition on messages) is about. */
const withLastOf = (which: string) => `DELETE FROM shared_contents
  WHERE id IN (SELECT shared_id FROM messages WHERE ${which} AND shared_id IS NOT NULL)
    AND NOT EXISTS (SELECT 1 FROM messages WHERE shared_id = shared_contents.id AND NOT (${which}))`
const OF_RANGE = `${OF} AND seq >= $4 AND seq <= $5`
const OF_ACCOUNT = 'aci = $1'
const OF_DEVICE = 'aci = $1 AND device_id = $2'

/** The law: what was added is read until it is removed, in the order of `seq`. */
export class MessageStore {
  readonly #sql: Sql

  constructor(sql: Sql) {
    this.#sql = sql
  }

  /** Resolves when the statements are on disk. */
  async write(statements: readonly Statement[]): Promise<void> {
    outcomesOf(await this.#sql.write(statements))
  }

  add(queue: Queue, message: Queued): Statement {
    return {
      sql: 'INSERT INTO messages (aci, device_id, device_created_at_ms, seq, envelope) VALUES ($1, $2, $3, $4, $5)',
      args: [...queue.key, message.seq, message.envelope],
    }
  }

  /** Keeps what copies share: it goes before them into the same list. */
  share({ id, bytes }: SharedContent, seq: number): Statement {
    return {
      sql: 'INSERT INTO shared_contents (id, shared_seq, content) VALUES ($1, $2, $3)',
      args: [id, seq, bytes],
    }
  }

  /** A message whose envelope begins with `head` and ends with the shared content. */
  addSharing(queue: Queue, seq: number, head: Uint8Array, content: SharedContent): Statement {
    return {
      sql: `INSERT INTO messages (aci, device_id, device_created_at_ms, seq, envelope, shared_id)
              VALUES ($1, $2, $3, $4, $5, $6)`,
      args: [...queue.key, seq, head, content.id],
    }
  }

  /** Removes everything from `first` to `last`, both included, but not what they may share. */
  remove(queue: Queue, first: number, last: number): Statement {
    return { sql: `DELETE FROM messages WHERE ${OF_RANGE}`, args: [...queue.key, first, last] }
  }

  /** The same, with what nobody else shares. */
  removeSharing(queue: Queue, first: number, last: number): Statement[] {
    return [{ sql: withLastOf(OF_RANGE), args: [...queue.key, first, last] }, this.remove(queue, first, last)]
  }

  clear(aci: Aci): Statement[] {
    const args = [uuidToBytes(aci)]
    return [
      { sql: withLastOf(OF_ACCOUNT), args },
      { sql: `DELETE FROM messages WHERE ${OF_ACCOUNT}`, args },
    ]
  }

  clearDevice(aci: Aci, deviceId: DeviceId): Statement[] {
    const args = [uuidToBytes(aci), deviceId]
    return [
      { sql: withLastOf(OF_DEVICE), args },
      { sql: `DELETE FROM messages WHERE ${OF_DEVICE}`, args },
    ]
  }

  async page(queue: Queue, after: number, limit: number): Promise<Queued[]> {
    const rows = await this.#sql.read(
      `SELECT seq, envelope, content FROM messages LEFT JOIN shared_contents ON id = shared_id
        WHERE ${OF} AND seq > $4 ORDER BY seq LIMIT $5`,
      [...queue.key, after, limit],
    )
    return rows.map((row) => {
      const [envelope, content] = [row['envelope'] as Uint8Array, row['content'] as Uint8Array | null]
      return { seq: row['seq'] as number, envelope: content ? Buffer.concat([envelope, content]) : envelope }
    })
  }

  async isEmpty(queue: Queue): Promise<boolean> {
    return (await this.page(queue, 0, 1)).length === 0
  }

  /** Holds if nothing is in the queue, for a list that relies on it. */
  emptiness(queue: Queue): Statement {
    return { sql: `SELECT seq FROM messages WHERE ${OF} LIMIT 1`, args: queue.key, must: 0 }
  }

  /** The highest `seq` of all queues, or 0. */
  async lastSeq(): Promise<number> {
    const [row] = await this.#sql.read('SELECT MAX(seq) AS last FROM messages')
    return (row?.['last'] as number | null) ?? 0
  }

  /** Removes a bounded number of messages from before `seq`, and what they shared; true if there may be more. */
  async expire(seq: number, limit: number): Promise<boolean> {
    const written = await this.#sql.write([
      {
        sql: `DELETE FROM messages WHERE (aci, device_id, device_created_at_ms, seq) IN
                (SELECT aci, device_id, device_created_at_ms, seq FROM messages WHERE seq < $1 LIMIT $2)`,
        args: [seq, limit],
      },
      {
        sql: `DELETE FROM shared_contents WHERE shared_seq < $1
                AND NOT EXISTS (SELECT 1 FROM messages WHERE shared_id = shared_contents.id)`,
        args: [seq],
      },
    ])
    return written.ok && written.outcomes[0]!.changes === limit
  }
}
