// The example of deploy/, started for a test, and sites with pages of a test's own.
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Constellation } from '../constellation.ts'

const EXAMPLE = join(import.meta.dirname, '..', '..', 'deploy', 'captcha-example', 'server.ts')

export type Site = AsyncDisposable & { readonly url: string }

/** In a process of its own, which believes the server's authority. */
export async function startExample(server: Constellation, secret: string): Promise<Site> {
  const secretFile = join(server.ready.tls.caPem, '..', 'example-secret')
  writeFileSync(secretFile, `${secret}\n`)
  const args = [EXAMPLE, server.ready.urls.captcha, 'website', secretFile]
  const env = { ...process.env, PORT: '0', NODE_EXTRA_CA_CERTS: server.ready.tls.caPem }
  const child = spawn(process.execPath, ['--no-warnings', ...args], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const url = await new Promise<string>((resolve, reject) => {
    createInterface(child.stdout).once('line', resolve)
    child.once('exit', () => reject(new Error('the example ended')))
  })
  const stop = async () => {
    child.removeAllListeners('exit')
    const gone = new Promise((resolve) => child.once('exit', resolve))
    child.kill()
    await gone
  }
  return { url, [Symbol.asyncDispose]: stop }
}

/** A page of somebody's, at an address of its own. */
export async function serve(page: string): Promise<Site> {
  const server = createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' })
    response.end(page)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const stop = async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  return { url: `http://localhost:${port}`, [Symbol.asyncDispose]: stop }
}
