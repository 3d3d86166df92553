// The REST contract as an OpenAPI 3.1 document, made from the route table.
import { z } from 'zod'
import type { Auth, Body, Route } from './route.ts'
import { allRoutes, generalStatuses, type NamedRoute } from './routes.ts'

const MEANING: Readonly<Record<number, string>> = {
  400: 'The request contradicts itself, or carries credentials where none may be',
  401: 'The credentials are not valid',
  413: 'Too large',
  422: 'A field is not what the contract says',
  429: 'Too often; Retry-After tells when again',
}

const SECURITY: Readonly<Record<Auth, readonly Readonly<Record<string, readonly string[]>>[]>> = {
  device: [{ device: [] }],
  'device-or-unidentified': [{ device: [] }, { accessKey: [] }, { groupSendToken: [] }],
  unidentified: [{ accessKey: [] }, { groupSendToken: [] }],
  anonymous: [],
  none: [],
  basic: [{ basic: [] }],
}

const SECURITY_SCHEMES = {
  device: { type: 'http', scheme: 'basic', description: 'User: `<aci>.<device>`, or `<aci>` for device 1.' },
  basic: {
    type: 'http',
    scheme: 'basic',
    description: 'A phone number and the password to be, or what the chat server gives for another service.',
  },
  accessKey: { type: 'apiKey', in: 'header', name: 'Unidentified-Access-Key' },
  groupSendToken: { type: 'apiKey', in: 'header', name: 'Group-Send-Token' },
}

type Json = Record<string, unknown>

/** The wire's side of a schema: what is sent, before codecs make values of it. */
function jsonSchema(schema: z.ZodType): Json {
  const { $schema, ...rest } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' })
  return rest
}

function content(body: Body<unknown>): Json {
  if (body.contentType === undefined) return {}
  const schema = body.schema ? jsonSchema(body.schema) : { type: 'string', format: 'binary' }
  return { content: { [body.contentType]: { schema } } }
}

const parametersIn = (where: 'path' | 'query' | 'header', fields: Route['params']): Json[] =>
  Object.entries(fields).map(([name, schema]) => ({
    name,
    in: where,
    required: where === 'path' || !schema.safeDecode(undefined as never).success,
    schema: jsonSchema(schema),
  }))

function responses(route: Route): Json {
  const declared = Object.entries(route.replies).map(([status, body]) => [
    status,
    {
      description: status.startsWith('2') ? route.summary : (MEANING[Number(status)] ?? 'An outcome'),
      ...content(body),
    },
  ])
  const general = generalStatuses(route).map((status) => [String(status), { description: MEANING[status]! }])
  return Object.fromEntries([...declared, ...general])
}

function operation({ capability, name, route }: NamedRoute): Json {
  const body = content(route.body)
  return {
    operationId: `${capability}.${name}`,
    tags: [capability],
    summary: route.summary,
    security: SECURITY[route.auth],
    parameters: [
      ...parametersIn('path', route.params),
      ...parametersIn('query', route.query),
      ...parametersIn('header', route.headers),
    ],
    ...('content' in body && { requestBody: { required: true, ...body } }),
    responses: responses(route),
    ...(route.limiters.length > 0 && { 'x-limiters': route.limiters }),
  }
}

/** The whole document. */
export function openApi(version: string): Json {
  const paths: Record<string, Json> = {}
  for (const named of allRoutes()) {
    const path = named.route.path.replace(/:(\w+)/g, '{$1}')
    paths[path] = { ...paths[path], [named.route.method.toLowerCase()]: operation(named) }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Heliograph',
      version,
      description:
        'The chat server and the storage service. Every resource is also reachable by a request inside its websocket.',
      license: { name: 'AGPL-3.0-only', identifier: 'AGPL-3.0-only' },
    },
    paths,
    components: { securitySchemes: SECURITY_SCHEMES },
  }
}
