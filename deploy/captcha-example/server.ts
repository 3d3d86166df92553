// A site of somebody's with a form, and the captcha of a Heliograph in it, as one would write it for reCAPTCHA:
// NODE_EXTRA_CA_CERTS=data/tls/ca.pem node deploy/captcha-example/server.ts https://localhost:8443 website SECRET_FILE
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'

const [captcha, site, secretFile] = process.argv.slice(2)
if (!captcha || !site || !secretFile) throw new Error('needs: captcha address, site key, file of the secret')
const secret = readFileSync(secretFile, 'utf8').trim()
const page = readFileSync(join(import.meta.dirname, 'page.html'), 'utf8')

async function bodyOf(request: IncomingMessage): Promise<URLSearchParams> {
  let text = ''
  for await (const chunk of request) text += chunk
  return new URLSearchParams(text)
}

/** What every one of these services documents. */
async function isPerson(response: string): Promise<boolean> {
  const reply = await fetch(`${captcha}/siteverify`, {
    method: 'POST',
    body: new URLSearchParams({ secret, response }),
  })
  const { success, action } = (await reply.json()) as { success: boolean; action?: string }
  return success && action === 'password'
}

const server = createServer(async (request, response) => {
  const form = request.method === 'POST' ? await bodyOf(request) : undefined
  const outcome = form && (await isPerson(form.get('g-recaptcha-response') ?? '')) ? 'A person.' : 'Nobody.'
  const values = { captcha, site, outcome: form ? outcome : '' } as Record<string, string>
  response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' })
  response.end(page.replace(/\{\{(\w+)\}\}/g, (_, name: string) => values[name] ?? ''))
})
server.listen(Number(process.env['PORT'] ?? 8080), '127.0.0.1', () => {
  process.stdout.write(`http://localhost:${(server.address() as AddressInfo).port}\n`)
})
