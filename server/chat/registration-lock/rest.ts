import type { RegistrationLockFailure } from '../../../wire/rest/registration.ts'
import { registrationLockRoutes } from '../../../wire/rest/registration-lock.ts'
import { type Bound, implement } from '../../../wire/route.ts'
import type { Locked, RegistrationLock } from './registration-lock.ts'

export const registrationLockRest = (lock: RegistrationLock): Bound[] =>
  implement(registrationLockRoutes, {
    async set({ caller, body }) {
      await lock.set(caller, body.registrationLock)
      return { status: 204 }
    },
    async clear({ caller }) {
      await lock.clear(caller)
      return { status: 204 }
    },
  })

/** The body of a 423. */
export const lockedBody = ({ timeRemainingMs, svr2 }: Locked): RegistrationLockFailure => ({
  timeRemaining: timeRemainingMs,
  svr2Credentials: svr2,
})
