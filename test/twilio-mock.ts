// Twilio as its own OpenAPI description says, played by Prism over HTTP on loopback. The description lies beside the
// repository, in ../shared/data/twilio; where it does not, the tests that need it are skipped.
import { existsSync, readFileSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { getHttpOperationsFromSpec } from '@stoplight/prism-http'
import { createClientFromOperations, type PrismHttp } from '@stoplight/prism-http/dist/client.js'
import { listenOnLoopback } from './loopback.ts'

const FOLDER = fileURLToPath(new URL('../../shared/data/twilio/', import.meta.url))
const SPECS = ['api_v2010.json', 'verify_v2.json']

export const twilioIsDescribed = SPECS.every((name) => existsSync(FOLDER + name))

export const ACCOUNT = `AC${'0a'.repeat(16)}`
export const MESSAGING_SERVICE = `MG${'1b'.repeat(16)}`
export const VERIFY_SERVICE = `VA${'2c'.repeat(16)}`
export const AUTH_TOKEN = 'an-auth-token-of-nobody'
export const VOICE_FROM = '+12025550100'

export type TwilioRequest = {
  readonly path: string
  readonly fields: Readonly<Record<string, string>>
  readonly authorization: string | undefined
  /** Why Twilio's description refuses it; nothing if it does not. */
  readonly violations: readonly string[]
}
type Answer = { readonly status: number; readonly body: object; readonly headers?: Record<string, string> }

/** An error as Twilio writes it: its words contain the number. */
export const twilioError = (status: number, code: number, to = '+12025550199'): Answer => ({
  status,
  body: {
    code,
    message: `The 'To' number ${to} is not good`,
    more_info: 'https://www.twilio.com/docs',
    status,
  },
})

export class TwilioMock implements AsyncDisposable {
  readonly requests: TwilioRequest[] = []
  /** Instead of the description's example, for requests that it allows. */
  answer: (request: TwilioRequest) => Answer | undefined = () => undefined
  /** Before each answer. */
  delay: (request: TwilioRequest) => Promise<void> = async () => {}
  readonly #prism: PrismHttp
  readonly #forms: readonly [RegExp, readonly string[]][]
  #close: () => Promise<void> = async () => {}
  url = ''

  private constructor(prism: PrismHttp, forms: readonly [RegExp, readonly string[]][]) {
    this.#prism = prism
    this.#forms = forms
  }

  static async open(): Promise<TwilioMock> {
    const descriptions = SPECS.map(describe)
    const operations = await Promise.all(descriptions.map((one) => getHttpOperationsFromSpec(one)))
    const prism = createClientFromOperations(operations.flat(), PRISM)
    const mock = new TwilioMock(prism, descriptions.flatMap(formsOf))
    const server = createServer((request, response) => {
      void mock.#take(request).then(({ status, body, headers }) => {
        response.writeHead(status, { 'Content-Type': 'application/json', ...headers })
        response.end(JSON.stringify(body))
      })
    })
    const { url, close } = await listenOnLoopback(server)
    mock.url = url
    mock.#close = close
    return mock
  }

  get last(): TwilioRequest {
    const last = this.requests.at(-1)
    if (!last) throw new Error('nothing was asked of Twilio')
    return last
  }

  /** The configuration that sends here. */
  get config() {
    return { accountSid: ACCOUNT, authToken: AUTH_TOKEN, apiUrl: this.url, verifyUrl: this.url }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close()
  }

  async #take(incoming: IncomingMessage): Promise<Answer> {
    const path = incoming.url ?? '/'
    const body = await text(incoming)
    const host = path.startsWith('/v2/') ? 'verify' : 'api'
    const judged = await this.#judge(`https://${host}.twilio.com${path}`, incoming, body)
    const fields = Object.fromEntries(new URLSearchParams(body))
    const known = this.#forms.find(([form]) => form.test(path))?.[1] ?? Object.keys(fields)
    const unknown = Object.keys(fields).filter((name) => !known.includes(name))
    const violations = [...judged.violations, ...unknown.map((name) => `${name} is no field`)]
    const { authorization } = incoming.headers
    const request: TwilioRequest = { path, fields, authorization, violations }
    this.requests.push(request)
    await this.delay(request)
    if (violations.length > 0) return { status: 400, body: { code: 20001, violations } }
    return this.answer(request) ?? { status: judged.status, body: judged.body }
  }

  async #judge(url: string, { method, headers }: IncomingMessage, body: string) {
    const input = {
      method: (method ?? 'GET').toLowerCase() as 'post',
      headers: headers as Record<string, string>,
      body,
    }
    try {
      const { status, data } = await this.#prism.request(url, input)
      return { status, body: data as object, violations: [] }
    } catch (error) {
      return { status: 400, body: {}, violations: violationsOf(error) }
    }
  }
}

type Problem = {
  readonly title?: string
  readonly additional?: { readonly validation?: { message: string }[] }
}

function violationsOf(error: unknown): string[] {
  const { additional, message } = error as Problem & Error
  return additional?.validation?.map((one) => one.message) ?? [message]
}

const silent: object = {
  child: () => silent,
  ...Object.fromEntries(levels().map((level) => [level, () => {}])),
}
function levels() {
  return ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'success', 'start']
}

const PRISM = {
  mock: { dynamic: false },
  validateRequest: true,
  validateResponse: false,
  checkSecurity: true,
  errors: false,
  isProxy: false,
  upstreamProxy: undefined,
  logger: silent as never,
} as const

type Schema = { readonly $ref?: string; readonly properties?: object }
type Operation = { readonly requestBody?: { readonly content: Record<string, { readonly schema: Schema }> } }
type Description = {
  readonly paths: Record<string, Record<string, Operation>>
  readonly components: { readonly schemas: Record<string, Schema> }
}

const describe = (name: string): Description => JSON.parse(readFileSync(FOLDER + name, 'utf8'))

/** The fields of each form, by the path that it is posted to. Prism does not look at fields that it does not know. */
function formsOf({ paths, components }: Description): [RegExp, readonly string[]][] {
  return Object.entries(paths).flatMap(([path, { post }]): [RegExp, readonly string[]][] => {
    const schema = post?.requestBody?.content['application/x-www-form-urlencoded']?.schema
    if (!schema) return []
    const { properties } = schema.$ref ? components.schemas[schema.$ref.split('/').at(-1)!]! : schema
    return [[new RegExp(`^${path.replace(/\{\w+\}/g, '[^/]+')}$`), Object.keys(properties ?? {})]]
  })
}
