// A device with its account's encrypted records: it asks the chat server for credentials before each request to the
// storage service, as clients do. What it stores is noise: whatever a client encrypts is that to the server.
import {
  ReadOperation,
  type StorageItem,
  StorageItems,
  StorageManifest,
  WriteOperation,
  type WriteOperationInit,
} from '../../wire/gen/storage.js'
import type { SignalServer } from '../constellation.ts'
import { authorizationOf, basic, Https } from './https.ts'
import type { HttpVersion } from './net.ts'
import type { Registered } from './register.ts'
import { expectStatus, type Reply } from './rest.ts'

export type StorageCredentials = { readonly username: string; readonly password: string }
/** It is closed with the keeper, if it can be. */
type Way = Pick<Https, 'call'> & Partial<AsyncDisposable>
export type Written = { readonly status: number; readonly current?: StorageManifest }

export class RecordKeeper implements AsyncDisposable {
  readonly #https: Way
  readonly #credentials: () => Promise<StorageCredentials>

  constructor(https: Way, credentials: () => Promise<StorageCredentials>) {
    this.#https = https
    this.#credentials = credentials
  }

  /** Of a device that asks for its credentials over HTTPS. */
  static of(server: SignalServer, device: Registered, httpVersion: HttpVersion): RecordKeeper {
    const https = Https.open(server.ready, httpVersion, 'storage')
    return new RecordKeeper(https, async () => {
      const given = await https.call('GET', '/v1/storage/auth', { headers: authorizationOf(device) })
      expectStatus(200, given)
      return given.json as StorageCredentials
    })
  }

  async manifest(): Promise<StorageManifest | undefined> {
    const reply = await this.call('GET', '/v1/storage/manifest')
    return reply.status === 404 ? undefined : manifestIn(reply)
  }

  /** Nothing if the server has that version, or none. */
  async newerManifest(known: number): Promise<StorageManifest | undefined> {
    const reply = await this.call('GET', `/v1/storage/manifest/version/${known}`)
    return reply.status === 204 ? undefined : manifestIn(reply)
  }

  async write(operation: WriteOperationInit): Promise<Written> {
    const reply = await this.call('PUT', '/v1/storage', WriteOperation.encode(operation).finish())
    return reply.status === 409
      ? { status: 409, current: StorageManifest.decode(reply.body) }
      : { status: reply.status }
  }

  async read(keys: readonly Uint8Array[]): Promise<readonly StorageItem[]> {
    const body = ReadOperation.encode({ readKey: keys }).finish()
    const reply = await this.call('PUT', '/v1/storage/read', body)
    expectStatus(200, reply)
    return StorageItems.decode(reply.body).items
  }

  async clear(): Promise<void> {
    expectStatus(200, await this.call('DELETE', '/v1/storage'))
  }

  async call(method: string, path: string, body?: Uint8Array, given?: StorageCredentials): Promise<Reply> {
    const { username, password } = given ?? (await this.#credentials())
    const headers = {
      authorization: basic(username, password),
      ...(body && { 'content-type': 'application/x-protobuf' }),
    }
    return this.#https.call(method, path, { headers, ...(body && { body }) })
  }

  credentials(): Promise<StorageCredentials> {
    return this.#credentials()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#https[Symbol.asyncDispose]?.()
  }
}

function manifestIn(reply: Reply): StorageManifest {
  expectStatus(200, reply)
  return StorageManifest.decode(reply.body)
}
