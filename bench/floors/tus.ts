// Floor of uploads: what the README of @tus/server shows, over TLS or not. With `--fsync` every acknowledged byte is on disk first.
import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { createServer as createHttp } from 'node:http'
import { createServer as createHttps } from 'node:https'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { FileStore } from '@tus/file-store'
import { Server } from '@tus/server'
import { selfSigned } from './certificate.ts'

const flags = parseArgs({
  options: {
    data: { type: 'string', default: './data' },
    port: { type: 'string', default: '0' },
    ready: { type: 'string', default: './ready.json' },
    plain: { type: 'boolean', default: false },
    fsync: { type: 'boolean', default: false },
  },
}).values

async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r')
  await handle.sync().finally(() => handle.close())
}

/** The bytes before a PATCH is answered, the names before a POST is. */
class SyncedStore extends FileStore {
  override async create(...args: Parameters<FileStore['create']>) {
    const file = await super.create(...args)
    await sync(`${file.storage!.path}.json`)
    await sync(dirname(file.storage!.path))
    return file
  }

  override async write(...args: Parameters<FileStore['write']>) {
    const offset = await super.write(...args)
    await sync(join(this.directory, args[1]))
    return offset
  }
}

const directory = join(flags.data, 'files')
mkdirSync(directory, { recursive: true })
const Store = flags.fsync ? SyncedStore : FileStore
const tus = new Server({ path: '/files', datastore: new Store({ directory }) })
const { key, cert } = selfSigned('localhost')
const handle = tus.handle.bind(tus)
const server = flags.plain ? createHttp(handle) : createHttps({ key, cert }, handle)
server.listen(Number(flags.port), '127.0.0.1', () => {
  const caPem = join(flags.data, 'ca.pem')
  writeFileSync(caPem, cert)
  const url = `${flags.plain ? 'http' : 'https'}://localhost:${(server.address() as AddressInfo).port}`
  const ready = { pid: process.pid, urls: { chat: url }, tls: { caPem } }
  writeFileSync(`${flags.ready}.draft`, JSON.stringify(ready))
  renameSync(`${flags.ready}.draft`, flags.ready)
})
process.once('SIGTERM', () => process.exit(0))
