// Requests to the storage service on one connection that stays open; a request's time is from its first byte to the answer's last.
import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:https'

export type Answer = { readonly status: number; readonly body: Buffer; readonly tookMs: number }

export class StorageCalls {
  private readonly origin: string
  private readonly agent: Agent
  private readonly authorization: string

  constructor(origin: string, caPem: string, authorization: string) {
    this.origin = origin
    this.agent = new Agent({ keepAlive: true, maxSockets: 1, ca: readFileSync(caPem) })
    this.authorization = authorization
  }

  call(method: string, path: string, body?: Uint8Array): Promise<Answer> {
    const { authorization, agent } = this
    const headers = {
      authorization,
      ...(body && { 'content-type': 'application/x-protobuf', 'content-length': body.length }),
    }
    const startMs = performance.now()
    return new Promise((resolve, reject) => {
      const outgoing = request(`${this.origin}${path}`, { method, headers, agent }, (answer) => {
        const chunks: Buffer[] = []
        answer.on('data', (chunk: Buffer) => chunks.push(chunk))
        answer.on('error', reject)
        answer.on('end', () => {
          const tookMs = performance.now() - startMs
          resolve({ status: answer.statusCode!, body: Buffer.concat(chunks), tookMs })
        })
      })
      outgoing.on('error', reject)
      outgoing.end(body)
    })
  }

  close(): void {
    this.agent.destroy()
  }
}
