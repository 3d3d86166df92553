// Calls after which the account is not what it was: tests make them with accounts that nobody needs any more.
import type { NamedRoute } from '../../wire/routes.ts'
import type { Rpc } from '../../wire/service.ts'

const ENDS = ['accounts.delete', 'DeleteAccount']
/** Opens the account to everybody. */
const OPENS = ['accounts.setAttributes', 'ConfigureUnidentifiedAccess']

const nameOf = (call: NamedRoute | Rpc): string =>
  'path' in call ? call.path.split('/').at(-1)! : `${call.capability}.${call.name}`

/** It ends the account that calls it. */
export const isFatal = (call: NamedRoute | Rpc): boolean => ENDS.includes(nameOf(call))
/** It ends the account that calls it, or lets strangers in. */
export const changesCaller = (call: NamedRoute | Rpc): boolean =>
  isFatal(call) || OPENS.includes(nameOf(call))
