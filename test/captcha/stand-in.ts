// Stands in for hCaptcha and Turnstile on loopback, with the rules that they document: a script that makes a widget, and
// siteverify.
import { randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { ForeignProvider } from '../../server/captcha/foreign.ts'

/** docs.hcaptcha.com "Siteverify Error Codes Table"; developers.cloudflare.com/turnstile "Error codes". */
const WORDS = {
  hcaptcha: { used: 'already-seen-response', field: 'h-captcha' },
  turnstile: { used: 'timeout-or-duplicate', field: 'cf-turnstile' },
} as const

export class StandIn implements AsyncDisposable {
  /** What was asked of siteverify, as it came. */
  readonly questions: URLSearchParams[] = []
  readonly siteKey = 'a0b1-site-key'
  readonly secret = 'the secret of the account'
  readonly #provider: ForeignProvider
  /** Tokens that were not looked at, with their actions. */
  readonly #tokens = new Map<string, string>()
  readonly #seen = new Set<string>()
  readonly #server = createServer((request, response) => void this.#answer(request, response))

  private constructor(provider: ForeignProvider) {
    this.#provider = provider
  }

  static async open(provider: ForeignProvider): Promise<StandIn> {
    const standIn = new StandIn(provider)
    await new Promise<void>((resolve) => standIn.#server.listen(0, '127.0.0.1', resolve))
    return standIn
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  get config() {
    const { siteKey, secret, url } = this
    const urls = { scriptUrl: `${url}/1/api.js`, verifyUrl: `${url}/siteverify` }
    return { provider: this.#provider, siteKey, secret, ...urls }
  }

  /** What their script would give to the page. */
  token(action = 'registration'): string {
    const token = `P1_${randomBytes(600).toString('base64url')}.${randomBytes(9).toString('base64url')}`
    this.#tokens.set(token, action)
    return token
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const send = (status: number, type: string, body: string) => {
      response.writeHead(status, { 'content-type': type })
      response.end(body)
    }
    if (request.url === '/1/api.js') return send(200, 'text/javascript', this.#script())
    if (request.url !== '/siteverify') return send(404, 'text/plain', '')
    let body = ''
    for await (const chunk of request) body += chunk
    send(200, 'application/json', JSON.stringify(this.#verify(request, new URLSearchParams(body))))
  }

  /** The widget is a button, and knows its token beforehand. */
  #script(): string {
    const token = this.token()
    return `for (const element of document.querySelectorAll('.${WORDS[this.#provider].field}')) {
      if (element.dataset.sitekey !== ${JSON.stringify(this.siteKey)}) throw new Error('no such site')
      const button = document.createElement('button')
      button.textContent = 'I am human'
      button.id = 'foreign'
      button.addEventListener('click', () => window[element.dataset.callback](${JSON.stringify(token)}))
      element.append(button)
    }`
  }

  #verify({ method, headers }: IncomingMessage, question: URLSearchParams): object {
    this.questions.push(question)
    const no = (...codes: string[]) => ({ success: false, 'error-codes': codes })
    if (method !== 'POST' || headers['content-type'] !== 'application/x-www-form-urlencoded')
      return no('bad-request')
    const [secret, response, sitekey] = ['secret', 'response', 'sitekey'].map((name) => question.get(name))
    if (!secret) return no('missing-input-secret')
    if (secret !== this.secret) return no('invalid-input-secret')
    if (!response) return no('missing-input-response')
    if (sitekey && sitekey !== this.siteKey) return no('sitekey-secret-mismatch')
    const action = this.#tokens.get(response)
    if (action === undefined) return no('invalid-input-response')
    if (this.#seen.has(response)) return no(WORDS[this.#provider].used)
    this.#seen.add(response)
    const about = { success: true, challenge_ts: new Date().toISOString(), hostname: 'localhost' }
    return this.#provider === 'turnstile' ? { ...about, action, cdata: '' } : { ...about, credit: false }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}
