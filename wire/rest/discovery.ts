// Contact discovery of our own, where Signal's wants an enclave (docs/protocol/discovery.md).
import { z } from 'zod'
import { MAX_DISCOVERY_KEYS, MAX_DISCOVERY_NUMBERS } from '../limits.ts'
import { json, nothing, route } from '../route.ts'
import { aci, barePni, base64, e164 } from '../types.ts'

const PATH = '/v1/heliograph/discovery'

export const discoveryRoutes = {
  policy: route({
    method: 'GET',
    path: PATH,
    auth: 'device',
    summary: 'How many numbers may be asked for at a time',
    replies: {
      200: json(z.object({ mode: z.enum(['off', 'single', 'batch']), maxNumbers: z.int() })),
    },
  }),
  find: route({
    method: 'POST',
    path: PATH,
    auth: 'device',
    summary: 'Who has a phone number, if they want to be found by it',
    limiters: ['discovery', 'discoveryBatch'],
    body: json(
      z.object({
        numbers: z.array(e164).min(1).max(MAX_DISCOVERY_NUMBERS),
        accessKeys: z
          .array(z.object({ aci, accessKey: base64('padded', { min: 16, max: 16 }) }))
          .max(MAX_DISCOVERY_KEYS)
          .nullish(),
      }),
    ),
    replies: {
      200: json(
        z.object({
          entries: z.array(z.object({ number: e164, pni: barePni.nullable(), aci: aci.nullable() })),
        }),
      ),
      404: nothing,
    },
  }),
}
