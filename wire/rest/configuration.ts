// Remote configuration that the operator publishes to clients (docs/protocol/configuration.md).
import { z } from 'zod'
import { json, nothing, route } from '../route.ts'
import { text } from '../types.ts'

export const configurationRoutes = {
  get: route({
    method: 'GET',
    path: '/v2/config',
    auth: 'device',
    summary: "The server's settings for clients, with an ETag",
    headers: { 'if-none-match': text(256).optional() },
    replies: { 200: json(z.object({ config: z.record(z.string(), z.string()) })), 304: nothing },
  }),
}
