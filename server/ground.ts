// What every role of a process works with.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type Bus, MemoryBus } from './kit/bus.ts'
import { certificateHosts } from './kit/certificate-hosts.ts'
import { type Certificates, openCertificates } from './kit/certificates.ts'
import type { Clock } from './kit/clock.ts'
import type { Closing } from './kit/closing.ts'
import type { Config } from './kit/config.ts'
import { Counters } from './kit/counters.ts'
import type { Log } from './kit/log.ts'
import type { Random } from './kit/random.ts'
import { openSecrets, type Secrets } from './kit/secrets.ts'
import { openSql } from './kit/sql/open.ts'
import type { Sql } from './kit/sql/sql.ts'

export type Ground = {
  readonly config: Config
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly counters: Counters
  readonly secrets: Secrets
  readonly certificates: Certificates
  readonly sql: Sql
  readonly bus: Bus
  /** Where the console's codes go. */
  readonly outbox: string
  readonly onBug: (error: unknown, where: string) => void
}

export type GroundOptions = Pick<Ground, 'clock' | 'random' | 'log'> & {
  readonly onFatal: (error: Error) => void
}

export async function openGround(config: Config, options: GroundOptions, closing: Closing): Promise<Ground> {
  const { clock, random, log, onFatal } = options
  await mkdir(join(config.data, 'storage'), { recursive: true, mode: 0o700 })
  const secrets = await openSecrets(config.secrets)
  const certificates = await openCertificates({
    secretsFolder: config.secrets,
    dataFolder: config.data,
    hosts: certificateHosts(config),
    nowMs: clock.nowMs(),
  })
  const sql = closing.add(await openDatabase(config, secrets, onFatal))
  return {
    ...{ config, clock, random, log, secrets, certificates, sql },
    counters: new Counters(),
    bus: new MemoryBus(),
    outbox: join(config.data, 'outbox.jsonl'),
    onBug(error, where) {
      log.error('bug', {
        where,
        error: error instanceof Error ? (error.stack ?? error.name) : 'not an error',
      })
    },
  }
}

function openDatabase(config: Config, secrets: Secrets, onFatal: (error: Error) => void): Promise<Sql> {
  if (config.storage.engine === 'postgres') {
    return openSql({ engine: 'postgres', url: config.storage.url! }, onFatal)
  }
  const file = join(config.data, 'storage', 'heliograph.db')
  return openSql({ engine: 'sqlite', file, key: secrets.databaseKey }, onFatal)
}
