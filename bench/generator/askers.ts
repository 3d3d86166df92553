// Clients that ask for a week of group credentials: all of them at once, and again when all have their answers.
import type { Account, Bursts, Target } from '../job.ts'
import { bytesField, Fields, numberField } from '../protobuf.ts'
import { connect, inParallel } from './connect.ts'
import { frame, type WebSocketClient } from './websocket.ts'

const REQUEST = 1
const RESPONSE_FIELD = 3
const DAY_SECONDS = 86_400
const DAYS = 7

/** A day is left at the end, should midnight come. */
function weekPath(): string {
  const today = Math.floor(Date.now() / 1000 / DAY_SECONDS) * DAY_SECONDS
  const end = today + DAYS * DAY_SECONDS
  return `/v1/certificate/auth/group?redemptionStartSeconds=${today}&redemptionEndSeconds=${end}`
}

class Asker {
  private readonly socket: WebSocketClient
  private answered: (status: number) => void = () => {}

  constructor(socket: WebSocketClient) {
    this.socket = socket
    socket.onClose = () => this.answered(0)
    socket.listen((payload) => {
      const status = statusIn(payload)
      if (status !== undefined) this.answered(status)
    })
  }

  ask(path: string): Promise<number> {
    const request = Buffer.concat([bytesField(1, 'GET'), bytesField(2, path), numberField(4, 1)])
    return new Promise((resolve) => {
      this.answered = resolve
      this.socket.send(frame(Buffer.concat([numberField(1, REQUEST), bytesField(2, request)])))
    })
  }
}

/** The status of a response; nothing if the frame is a request of the server's. */
function statusIn(payload: Buffer): number | undefined {
  const outer = new Fields(new Uint8Array())
  const inner = new Fields(new Uint8Array())
  outer.over(payload, 0, payload.length)
  while (outer.next()) {
    if (outer.field !== RESPONSE_FIELD) continue
    inner.over(payload, outer.start, outer.end)
    while (inner.next()) if (inner.field === 2) return inner.number
  }
  return undefined
}

export class Askers {
  private readonly askers: readonly Asker[]
  private readonly path = weekPath()
  private asking = false
  private done: Promise<Bursts> | undefined

  private constructor(askers: readonly Asker[]) {
    this.askers = askers
  }

  static async connect(target: Target, accounts: readonly Account[]): Promise<Askers> {
    const connections = await inParallel(accounts, (account) => connect(target, 'h1', account))
    return new Askers(connections.map(({ socket }) => new Asker(socket)))
  }

  start(): void {
    this.asking = true
    this.done = this.burst()
  }

  /** Lets the burst that is under way come to its end. */
  async stop(): Promise<Bursts> {
    this.asking = false
    return this.done!
  }

  private async burst(): Promise<Bursts> {
    const startMs = performance.now()
    const lastedMs: number[] = []
    let refused = 0
    while (this.asking) {
      const beganAtMs = performance.now()
      const statuses = await Promise.all(this.askers.map((asker) => asker.ask(this.path)))
      refused += statuses.filter((status) => status !== 200).length
      lastedMs.push(performance.now() - beganAtMs)
    }
    const weeks = lastedMs.length * this.askers.length - refused
    return { lastedMs, refused, weeksPerSecond: (weeks * 1000) / (performance.now() - startMs) }
  }
}
