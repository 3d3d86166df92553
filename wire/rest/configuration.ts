// Remote configuration that the operator publishes to clients (docs/protocol/configuration.md).
import { z } from 'zod'
import { json, nothing, route } from '../route.ts'
import { text } from '../types.ts'

const count = z.number()
const Products = z.object({
  currencies: z.record(z.string(), z.unknown()),
  levels: z.record(z.string(), z.unknown()),
  backup: z.object({
    levels: z.record(
      z.string(),
      z.object({ storageAllowanceBytes: count, playProductId: z.string(), mediaTtlDays: count }),
    ),
    freeTierMediaDays: count,
  }),
  sepaMaximumEuros: count,
})

export const configurationRoutes = {
  get: route({
    method: 'GET',
    path: '/v2/config',
    auth: 'device',
    summary: "The server's settings for clients, with an ETag",
    headers: { 'if-none-match': text(256).optional() },
    replies: { 200: json(z.object({ config: z.record(z.string(), z.string()) })), 304: nothing },
  }),
  products: route({
    method: 'GET',
    path: '/v1/subscription/configuration',
    auth: 'none',
    summary: 'What could be bought: nothing. How much may be backed up',
    replies: { 200: json(Products) },
  }),
}
