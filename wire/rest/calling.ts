// Calls between two people: relays, and what somebody thought of a call (docs/protocol/calling.md).
import { z } from 'zod'
import { SubmitCallQualitySurveyRequest } from '../gen/call_quality.js'
import { json, nothing, protobuf, route } from '../route.ts'

const Relay = z.object({
  username: z.string(),
  password: z.string(),
  /** Seconds. */
  ttl: z.int(),
  urls: z.array(z.string()),
  urlsWithIps: z.array(z.string()),
  hostname: z.string().nullable(),
})

export const callingRoutes = {
  relays: route({
    method: 'GET',
    path: '/v2/calling/relays',
    auth: 'device',
    summary: 'Gives relays for calls, with credentials that expire',
    limiters: ['getCallingRelays'],
    replies: { 200: json(z.object({ relays: z.array(Relay) })) },
  }),
  survey: route({
    method: 'PUT',
    path: '/v1/call_quality_survey',
    auth: 'anonymous',
    summary: 'Takes what somebody thought of a call; credentials are refused with 403',
    limiters: ['submitCallQualitySurvey'],
    body: protobuf(SubmitCallQualitySurveyRequest, 'application/octet-stream'),
    replies: { 204: nothing, 403: nothing },
  }),
}
