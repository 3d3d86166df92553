// A group that there is, and what an administrator of it would send next.
import assert from 'node:assert/strict'
import { GroupChange_Actions as Actions, Group } from '../../wire/gen/groups.js'
import { GroupClient } from '../client/group-client.ts'
import { GroupPerson } from '../client/group-person.ts'
import { Https } from '../client/https.ts'
import { register } from '../client/register.ts'
import type { SignalServer } from '../constellation.ts'

export type SampleGroup = {
  /** Good for the day. */
  readonly authorization: string
  readonly group: Uint8Array
  readonly change: Uint8Array
  readonly inviteLinkPassword: Uint8Array
}

export async function sampleGroup(server: SignalServer): Promise<SampleGroup> {
  await using https = Https.open(server.ready, 2)
  const owner = await GroupPerson.open(server.ready, https, await register(server))
  const client = new GroupClient(owner, https)
  const inviteLinkPassword = new Uint8Array(16)
  const proposed = client.proposal('a title')
  assert.equal((await client.create('a title')).status, 200)
  const change = { version: 1, modifyTitle: { title: client.blob({ title: 'another' }) } }
  return {
    authorization: client.authorization,
    group: Group.encode(proposed).finish(),
    change: Actions.encode(change).finish(),
    inviteLinkPassword,
  }
}
