// A server with wide limits, and many requests to one of its routes.
import assert from 'node:assert/strict'
import { LIMITER_NAMES } from '../../server/kit/limiters.ts'
import type { Sql } from '../../server/kit/sql/sql.ts'
import { allRoutes, type NamedRoute } from '../../wire/routes.ts'
import { shownBackup } from '../client/backup-owner.ts'
import { authorizationOf, basic } from '../client/https.ts'
import { linkBody, newKeysOf } from '../client/linked-device.ts'
import { newNumber, type Registered, register } from '../client/register.ts'
import { Constellation } from '../constellation.ts'
import { type Door, Doors } from './doors.ts'
import {
  archiveFor,
  type Cast,
  credentialsFor,
  exampleOf,
  RESTORE_TOKEN,
  restoreRequest,
} from './examples.ts'
import { isFatal } from './fatal.ts'
import { complaint, type Probe, send } from './probe.ts'
import { sampleGroup } from './sample-group.ts'

/** So wide that a limiter hides nothing that lies behind it. */
const limits = Object.fromEntries(LIMITER_NAMES.map((name) => [name, { bucket: 1_000_000_000 }]))

/** The names that every object has by its prototype; a server that merged hostile JSON has more. */
const prototypeNames = () =>
  Reflect.ownKeys(Object.prototype).length + Reflect.ownKeys(Array.prototype).length
const PROTOTYPE_NAMES = prototypeNames()

const whoami = allRoutes().find(({ name }) => name === 'whoami')!

/**
 * Long polls whose answer is there already: nobody waits for it a thousand times. Gives the identifier of the link token
 * that was used.
 */
async function putWhatIsWaitedFor(doors: Doors, own: Registered): Promise<string> {
  const put = (path: string, headers: Readonly<Record<string, string>>, body: object) =>
    doors.all[0]!.call('PUT', path, { ...JSON_TYPE, ...headers }, Buffer.from(JSON.stringify(body)))
  const token = await linkTokenOf(doors, own)
  const stranger = { authorization: basic('x', 'a new password') }
  const replies = [
    await put('/v1/devices/transfer_archive', authorizationOf(own), archiveFor(own)),
    await put(`/v1/devices/restore_account/${encodeURIComponent(RESTORE_TOKEN)}`, {}, restoreRequest),
    await put('/v1/devices/link', stranger, linkBody(token.verificationCode, newKeysOf(own))),
  ]
  assert.deepEqual(
    replies.map(({ status }) => status),
    [204, 204, 200],
  )
  return token.tokenIdentifier
}

/** Empty where there is no room for another device. */
async function linkTokenOf({ all }: Doors, own: Registered) {
  const path = '/v1/devices/provisioning/code'
  const reply = await all[0]!.call('GET', path, authorizationOf(own), Buffer.alloc(0))
  const { verificationCode = '', tokenIdentifier = '' } = JSON.parse(
    Buffer.from(reply.body).toString() || '{}',
  )
  return { verificationCode, tokenIdentifier } as Record<'verificationCode' | 'tokenIdentifier', string>
}

async function storageAuthorizationOf({ all }: Doors, own: Registered): Promise<string> {
  const reply = await all[0]!.call('GET', '/v1/storage/auth', authorizationOf(own), Buffer.alloc(0))
  const { username, password } = JSON.parse(Buffer.from(reply.body).toString())
  return basic(username, password)
}
const JSON_TYPE = { 'content-type': 'application/json' }

export type Case = Omit<Probe, 'headers' | 'named'>

export class Fuzzer {
  readonly server: Constellation
  doors: Doors
  readonly #cast: Cast
  /** Requests sent. */
  sent = 0

  private constructor(server: Constellation, doors: Doors, cast: Cast) {
    this.server = server
    this.doors = doors
    this.#cast = cast
  }

  static async open(config: Readonly<Record<string, unknown>> = {}): Promise<Fuzzer> {
    const server = await Constellation.open({ config: { limits, ...config } })
    const [own, other] = await Promise.all([register(server), register(server)])
    const doors = await Doors.open(server.ready, own)
    const usedTokenId = await putWhatIsWaitedFor(doors, own)
    const backup = await shownBackup(server.ready, other)
    const storageAuthorization = await storageAuthorizationOf(doors, own)
    const empty = { sessionId: '', linkToken: '', usedTokenId, storageAuthorization, ready: server.ready }
    const group = await sampleGroup(server)
    return new Fuzzer(server, doors, { own, other, backup, sampleGroup: group, ...empty })
  }

  get cast(): Cast {
    return this.#cast
  }

  /** Restarts the server; in between, `edit` has the storage for itself. */
  async restart(edit?: (sql: Sql) => Promise<void>): Promise<void> {
    await this.doors[Symbol.asyncDispose]()
    await this.server.restart(edit)
    this.doors = await Doors.open(this.server.ready, this.#cast.own)
  }

  /** Every door; but who calls what ends the account comes with its own credentials, so not on somebody's socket. */
  doorsFor(named: NamedRoute): readonly Door[] {
    return isFatal(named) ? this.doors.all.filter(({ kind }) => kind === 'https') : this.doors.all
  }

  /** With a verification session of its own, open and without a code, and a link token that is not used. */
  async freshCast(named?: NamedRoute): Promise<Cast> {
    const body = Buffer.from(JSON.stringify({ number: newNumber() }))
    const reply = await this.doors.all[0]!.call('POST', '/v1/verification/session', {}, body)
    const { verificationCode: linkToken } = await linkTokenOf(this.doors, this.#cast.own)
    return {
      ...this.#cast,
      ...(named && isFatal(named) && { own: await register(this.server) }),
      sessionId: JSON.parse(Buffer.from(reply.body).toString()).id as string,
      linkToken,
    }
  }

  /** Sends the cases, each through one door and the next through the next that is free; gives what was wrong. */
  async run(
    named: NamedRoute,
    cases: Iterable<Case>,
    from: Cast,
    options: { readonly headers?: Readonly<Record<string, string>>; readonly doors?: readonly Door[] } = {},
  ): Promise<string[]> {
    const { headers = {}, doors = this.doorsFor(named) } = options
    const wrong: string[] = []
    const waiting = [...cases].entries()
    const worker = async (door: Door) => {
      for (const [index, one] of waiting) {
        const probe = { ...one, named, headers: { ...credentialsFor(named, from), ...headers } }
        const what = await this.judge(probe, door)
        if (what) wrong.push(`case ${index}: ${what}`)
      }
    }
    await Promise.all(doors.map(worker))
    return wrong
  }

  /** What is wrong with the answer to a probe, if anything. */
  async judge(probe: Probe, door: Door): Promise<string | undefined> {
    this.sent++
    return complaint(probe, await send(probe, door), door)
  }

  /** The server answers a normal call, and nothing that all objects share has changed. */
  async assertWell(): Promise<void> {
    assert.equal(prototypeNames(), PROTOTYPE_NAMES)
    assert.equal(({} as { polluted?: unknown }).polluted, undefined)
    const probe = {
      named: whoami,
      example: exampleOf(whoami, this.#cast),
      headers: credentialsFor(whoami, this.#cast),
    }
    for (const door of this.doors.all.slice(0, 3))
      assert.equal((await send(probe, door)).status, 200, door.name)
  }

  /** Throws what the server found to be a bug of its own. */
  async close(): Promise<void> {
    await this.doors[Symbol.asyncDispose]()
    await this.server.close()
  }
}
