// What `heliograph registration` asks of the running server.
import { z } from 'zod'
import { type ControlCall, controlCall } from '../../kit/control.ts'
import type { Admission } from './admission.ts'

export const admissionControl = (admission: Admission): ControlCall[] => {
  const status = async () => {
    const { mode, heldBy, stoppedSinceMs, free, least } = await admission.status()
    return { mode, heldBy: heldBy ?? null, stoppedSinceMs: stoppedSinceMs ?? null, free, least }
  }
  const none = z.null()
  return [
    controlCall('registration status', none, status),
    controlCall('registration stop', none, () => admission.stop().then(status)),
    controlCall('registration start', none, () => admission.start().then(status)),
  ]
}
