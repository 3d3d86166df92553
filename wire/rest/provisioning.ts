// From the primary device to one that is no device yet, by the address of its socket (docs/protocol/linking.md).
import { z } from 'zod'
import { json, nothing, route } from '../route.ts'

/** Base64 as MIME writes it: line breaks, and whatever else is no digit, mean nothing. */
const mimeBase64 = z.codec(z.string().min(1).meta({ contentEncoding: 'base64' }), z.custom<Uint8Array>(), {
  decode: (text) => Buffer.from(text.replaceAll(/[^A-Za-z0-9+/_-]/g, ''), 'base64'),
  encode: (bytes) => Buffer.from(bytes).toString('base64'),
})

export const provisioningRoutes = {
  send: route({
    method: 'PUT',
    path: '/v1/provisioning/:address',
    auth: 'device',
    summary: 'Hands a message to the new device behind an address',
    limiters: ['messages'],
    params: { address: z.string() },
    body: json(z.object({ body: mimeBase64 })),
    replies: { 204: nothing, 400: nothing, 404: nothing },
  }),
  keepalive: route({
    method: 'GET',
    path: '/v1/keepalive/provisioning',
    auth: 'none',
    socket: 'provisioning',
    summary: 'Answers 200 on a provisioning socket; 404 everywhere else',
    replies: { 200: nothing, 404: nothing },
  }),
}
