import { pushRoutes } from '../../wire/rest/push.ts'
import { type Bound, implement } from '../../wire/route.ts'
import { sameSecret } from '../kit/constant-time.ts'
import type { PushGateway } from '../kit/push-gateway.ts'
import type { PushEvents } from './events.ts'

export const PUSH_USER = 'push'

/** The internal door: for the chat server in another process. */
export const pushRest = (gateway: PushGateway, secret: string, events: PushEvents): Bound[] =>
  implement(
    pushRoutes,
    {
      async push({ body }) {
        const outcomes = await Promise.all(body.pushes.map((push) => gateway.push(push)))
        return { status: 200, body: { outcomes } }
      },
      async health() {
        return { status: 200, body: { providers: [...(await gateway.health())] } }
      },
    },
    ({ username, password }) => {
      const isOurs = username === PUSH_USER && sameSecret(password, secret)
      if (!isOurs) events.intruded()
      return isOurs
    },
  )
