// What `heliograph invite` asks of the running server.
import { z } from 'zod'
import { type ControlCall, ControlError, controlCall } from '../../kit/control.ts'
import { groupedCode } from './invite-code.ts'
import { type Invites, numberIn } from './invites.ts'
import type { ServerAddress } from './page.ts'
import type { Invite } from './store.ts'

const MAX_USES = 10_000
const MAX_DAYS = 366

const creation = z.object({
  uses: z.int().min(1).max(MAX_USES),
  days: z.int().min(1).max(MAX_DAYS),
  number: z.string().max(64).nullable(),
  note: z.string().max(200),
})

export const invitesControl = (invites: Invites, server: () => ServerAddress): ControlCall[] => [
  controlCall('invite create', creation, async ({ uses, days, number, note }) => {
    if (number !== null && uses > 1) throw new ControlError('An invite for one number is good once.')
    const { invite, code, digits } = await invites.create({ uses, days, note, number: numberOf(number) })
    const { url, fingerprint } = server()
    return {
      ...{ ...told(invite), server: url, fingerprint, code: groupedCode(code) },
      ...{ link: `${url}/invite/${code.text}`, digits: digits ?? null },
    }
  }),
  controlCall('invite list', z.null(), async () => (await invites.list()).map(told)),
  controlCall('invite revoke', z.object({ id: z.string().max(64) }), async ({ id }) => {
    if (!(await invites.revoke(id)))
      throw new ControlError('There is no such invite (see: heliograph invite list).')
  }),
]

function numberOf(typed: string | null) {
  if (typed === null) return undefined
  const number = numberIn(typed)
  if (number) return number
  throw new ControlError('That is no phone number: it begins with + and the country code.')
}

const told = ({ id, createdAtMs, expiresAtMs, uses, usesLeft, number, note }: Invite) => ({
  ...{ id, createdAtMs, expiresAtMs, uses, usesLeft },
  ...{ number: number ?? null, note },
})
