// The gateway as another process has it. Pushes that come together go together.
import { MAX_PUSHES, pushRoutes } from '../../wire/rest/push.ts'
import type { Clock } from '../kit/clock.ts'
import { ask } from '../kit/outgoing.ts'
import type { ProviderHealth, Push, Pushed, PushGateway } from '../kit/push-gateway.ts'
import { PUSH_USER } from './rest.ts'

export type RemoteGatewayOptions = {
  readonly url: string
  readonly secret: string
  /** Certificates (PEM) of the authorities that are believed; the host's unless told. */
  readonly ca?: string | undefined
  readonly clock: Clock
}

/** Longer than a provider may take. */
const TIMEOUT_MS = 40_000
const HEALTH_TIMEOUT_MS = 5_000
const GATHER_MS = 2
/** Nobody is there: how long until it is worth asking again. */
const AWAY_MS = 1_000
const MAX_ASKING = 16

type Waiting = { readonly push: Push; readonly resolve: (pushed: Pushed) => void }

export class RemoteGateway implements PushGateway {
  readonly #options: RemoteGatewayOptions
  #waiting: Waiting[] = []
  #asking = 0
  #isGathering = false

  constructor(options: RemoteGatewayOptions) {
    this.#options = options
  }

  push(push: Push): Promise<Pushed> {
    const { promise, resolve } = Promise.withResolvers<Pushed>()
    this.#waiting.push({ push, resolve })
    this.#gather()
    return promise
  }

  async health(): Promise<readonly ProviderHealth[]> {
    const { status, body } = await this.#ask('GET', pushRoutes.health.path, '', HEALTH_TIMEOUT_MS)
    if (status !== 200) throw new Error(`the gateway answered ${status}`)
    return pushRoutes.health.replies[200].decode(Buffer.from(body)).providers
  }

  #gather(): void {
    if (this.#isGathering) return
    this.#isGathering = true
    this.#options.clock.after(GATHER_MS, () => {
      this.#isGathering = false
      while (this.#waiting.length > 0 && this.#asking < MAX_ASKING)
        void this.#send(this.#waiting.splice(0, MAX_PUSHES))
    })
  }

  async #send(waiting: readonly Waiting[]): Promise<void> {
    this.#asking++
    const outcomes = await this.#outcomes(waiting.map(({ push }) => push)).catch(() => [])
    this.#asking--
    for (const [index, { resolve }] of waiting.entries())
      resolve(outcomes[index] ?? { kind: 'later', afterMs: AWAY_MS })
    if (this.#waiting.length > 0) this.#gather()
  }

  async #outcomes(pushes: Push[]): Promise<readonly Pushed[]> {
    const body = Buffer.from(pushRoutes.push.body.encode({ pushes })).toString('utf8')
    const answer = await this.#ask('POST', pushRoutes.push.path, body, TIMEOUT_MS)
    if (answer.status !== 200) return []
    return pushRoutes.push.replies[200].decode(Buffer.from(answer.body)).outcomes
  }

  #ask(method: 'GET' | 'POST', path: string, body: string, timeoutMs: number) {
    const { url, secret, ca } = this.#options
    const authorization = `Basic ${Buffer.from(`${PUSH_USER}:${secret}`).toString('base64')}`
    const headers = { authorization, 'content-type': 'application/json' }
    return ask({ method, url: `${url}${path}`, headers, body, timeoutMs, ca })
  }
}
