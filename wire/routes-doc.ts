// `npm run docs`: the table of routes for readers, docs/protocol/routes.md.
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { allRoutes, type NamedRoute } from './routes.ts'

export const ROUTES_PAGE = join(import.meta.dirname, '..', 'docs', 'protocol', 'routes.md')

const CALLER = {
  device: 'a device',
  'device-or-unidentified': 'a device, or whoever shows an access key or group send token',
  unidentified: 'whoever shows an access key or group send token, without credentials',
  anonymous: 'anybody without credentials',
  none: 'anybody',
  basic: 'who shows credentials of another sort than a device’s',
} as const

const code = (texts: readonly (string | number)[]) => texts.map((text) => `\`${text}\``).join(' ')

const row = ({ route }: NamedRoute): string => {
  const input = [...Object.keys(route.query).map((name) => `?${name}`), ...Object.keys(route.headers)]
  const cells = [
    `\`${route.method} ${route.path}\``,
    route.summary,
    CALLER[route.auth],
    code(input),
    code(Object.keys(route.replies)),
    code(route.limiters),
  ]
  return `| ${cells.join(' | ')} |`
}

const HEAD = `# The REST routes

Made from \`wire/rest/\` by \`npm run docs\`; \`heliograph openapi\` prints the same contract with every schema. Each route is
reachable over HTTPS and by a request inside a websocket. Besides the statuses named here a call may meet the general ones: 400,
401, 404 (no such path), 405, 408, 413, 422 with the fields that are wrong, 429 with \`Retry-After\` where limiters are named, 503.
`

const TABLE_HEAD =
  '| Route | What it does | Who may call | Query, headers | Answers | Limiters |\n|---|---|---|---|---|---|'

/** The page. */
export function routesDoc(): string {
  const routes = allRoutes()
  const capabilities = [...new Set(routes.map(({ capability }) => capability))]
  const sections = capabilities.map((capability) => {
    const rows = routes.filter((one) => one.capability === capability).map(row)
    return `## ${capability}\n\n${TABLE_HEAD}\n${rows.join('\n')}\n`
  })
  return [HEAD, ...sections].join('\n')
}

if (import.meta.main) {
  mkdirSync(dirname(ROUTES_PAGE), { recursive: true })
  writeFileSync(ROUTES_PAGE, routesDoc())
}
