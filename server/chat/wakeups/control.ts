// What `heliograph push` asks of the running server. No token and no address is told.
import { z } from 'zod'
import type { Aci } from '../../../wire/types.ts'
import { type ControlCall, ControlError, controlCall } from '../../kit/control.ts'
import type { Pushed, PushGateway } from '../../kit/push-gateway.ts'
import { type Account, addressOf, type Device } from '../accounts/account.ts'
import type { Accounts } from '../accounts/accounts.ts'
import { readPhoneNumber } from '../accounts/phone-number.ts'

const test = z.object({ account: z.string().max(64) })

/** Without a gateway nobody is woken. */
export const wakeUpsControl = (accounts: Accounts, gateway: PushGateway | undefined): ControlCall[] => [
  controlCall('push test', test, async ({ account: typed }) => {
    if (!gateway) throw new ControlError('No push provider is configured: devices are not woken.')
    const { devices } = await accountOf(accounts, typed)
    return Promise.all(devices.map((device) => tested(device, gateway)))
  }),
]

async function accountOf(accounts: Accounts, typed: string): Promise<Account> {
  const account = await (typed.startsWith('+') ? byNumber(accounts, typed) : byAci(accounts, typed))
  if (account) return account
  throw new ControlError('Nobody here has that number or ACI.')
}

function byNumber(accounts: Accounts, typed: string): Promise<Account | undefined> {
  const phone = readPhoneNumber(typed)
  if (phone.kind !== 'valid') throw new ControlError('That is no phone number.')
  return accounts.findByNumber(phone.e164)
}

function byAci(accounts: Accounts, typed: string): Promise<Account | undefined> {
  const { success, data } = z.guid().safeParse(typed)
  if (!success) throw new ControlError('Say whom: a number with + and the country code, or an ACI.')
  return accounts.find(data.toLowerCase() as Aci)
}

/** One try, as for an urgent message. */
async function tested(device: Device, gateway: PushGateway) {
  const { id: deviceId, fetchesMessages } = device
  const to = addressOf(device)
  if (!to) return { deviceId, by: null, outcome: fetchesMessages ? 'fetches' : 'unreachable' }
  const pushed = await gateway.push({ to, notice: { kind: 'message', urgent: true } })
  return { deviceId, by: to.service, outcome: pushed.kind, ...detailOf(pushed) }
}

function detailOf(pushed: Pushed) {
  if (pushed.kind === 'refused') return { reason: pushed.reason }
  if (pushed.kind === 'later') return { afterSeconds: Math.ceil(pushed.afterMs / 1000) }
  return {}
}
