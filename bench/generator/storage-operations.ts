// The operations whose times are taken. Bodies are encoded before the clock starts; nothing here is cryptography but noise.
import { randomBytes } from 'node:crypto'
import {
  GroupChange_Actions as Actions,
  type GroupChange_ActionsInit as ActionsInit,
  type Group,
  GroupResponse,
  Member_Role as Role,
} from '../../wire/gen/groups.js'
import {
  ReadOperation,
  StorageManifest,
  WriteOperation,
  type WriteOperationInit,
} from '../../wire/gen/storage.js'
import type { Member, StorageTask } from '../job.ts'
import type { Answer, StorageCalls } from './storage-calls.ts'

export type Operation = () => Promise<Answer>

const TITLE_BYTES = 80
const KEY_BYTES = 16
const VALUE_BYTES = 60
const MANIFEST_BYTES = 100
/** How many records an account has of which some are written or read. */
const RECORDS = 1000

const noise = (bytes: number) => new Uint8Array(randomBytes(bytes))
const bytesOf = (base64: string) => new Uint8Array(Buffer.from(base64, 'base64'))
const newItems = (count: number) =>
  Array.from({ length: count }, () => ({ key: noise(KEY_BYTES), value: noise(VALUE_BYTES) }))

export async function operationOf(task: StorageTask, calls: StorageCalls): Promise<Operation> {
  switch (task.kind) {
    case 'fetch':
      return () => calls.call('GET', '/v2/groups')
    case 'title':
      return changing(calls, await groupNow(calls), () => ({ modifyTitle: { title: noise(TITLE_BYTES) } }))
    case 'membership': {
      const group = await groupNow(calls)
      return changing(calls, group, comingAndGoing(group, task.others))
    }
    case 'sync':
      return writing(calls, () => ({ clearAll: true, insertItem: newItems(task.records) }))
    case 'write':
      return replacing(calls, task.records)
    case 'read':
      return reading(calls, task.records)
  }
}

function changing(calls: StorageCalls, group: Group, next: () => ActionsInit): Operation {
  let { version } = group
  return () => {
    version++
    const actions = Actions.encode({ ...next(), version }).finish()
    return calls.call('PATCH', '/v2/groups', actions)
  }
}

async function groupNow(calls: StorageCalls): Promise<Group> {
  const { status, body } = await calls.call('GET', '/v2/groups')
  if (status !== 200) throw new Error(`a group was not shown: ${status}`)
  return GroupResponse.decode(body).group!
}

/** Who comes back stands last, so that the list is another each time. An earlier client may have left one of them out. */
function comingAndGoing({ members }: Group, others: readonly Member[]): () => ActionsInit {
  const known = new Map(others.map((other) => [other.userId, other]))
  const queue: Member[] = []
  for (const { userId } of members) {
    const id = Buffer.from(userId).toString('base64')
    if (known.has(id)) queue.push(known.get(id)!)
    known.delete(id)
  }
  let [away] = known.values()
  return () => {
    if (away) {
      const added = { role: Role.DEFAULT, presentation: bytesOf(away.presentation) }
      queue.push(away)
      away = undefined
      return { addMembers: [{ added }] }
    }
    away = queue.shift()!
    return { deleteMembers: [{ deletedUserId: bytesOf(away.userId) }] }
  }
}

async function writing(calls: StorageCalls, next: () => WriteOperationInit): Promise<Operation> {
  const { status, body } = await calls.call('GET', '/v1/storage/manifest')
  let version = status === 200 ? Number(StorageManifest.decode(body).version) : 0
  return () => {
    version++
    const manifest = { version, value: noise(MANIFEST_BYTES) }
    return calls.call('PUT', '/v1/storage', WriteOperation.encode({ ...next(), manifest }).finish())
  }
}

/** Some records of many are replaced: new keys in, as many old ones out, as clients do. */
async function replacing(calls: StorageCalls, count: number): Promise<Operation> {
  const keys = await filled(calls)
  return writing(calls, () => {
    const insertItem = newItems(count)
    keys.push(...insertItem.map(({ key }) => key))
    return { insertItem, deleteKey: keys.splice(0, count) }
  })
}

async function reading(calls: StorageCalls, count: number): Promise<Operation> {
  const keys = await filled(calls)
  const body = ReadOperation.encode({ readKey: keys.slice(0, count) }).finish()
  return () => calls.call('PUT', '/v1/storage/read', body)
}

/** The keys of what was written instead of whatever there was. */
async function filled(calls: StorageCalls): Promise<Uint8Array<ArrayBuffer>[]> {
  const insertItem = newItems(RECORDS)
  const { status } = await (await writing(calls, () => ({ clearAll: true, insertItem })))()
  if (status !== 200) throw new Error(`records were not taken: ${status}`)
  return insertItem.map(({ key }) => key)
}
