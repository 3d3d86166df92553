// Users for the bench: made up for the floors, registered through the real API for our server.
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import { KEMKeyPair, PrivateKey } from '@signalapp/libsignal-client'
import type { Account } from './job.ts'
import type { Ready } from './processes.ts'

const AT_ONCE = 16
const FIRST_NUMBER = 12_025_550_000
const CODE_WITHIN_MS = 10_000
const SIGNED_KEY_ID = 1
const KYBER_KEY_ID = 2

/** The floors check nobody; the thin one finds its users by the last eight hex digits. */
export function inventAccounts(count: number): Account[] {
  return Array.from({ length: count }, (_, index) => ({
    aci: `00000000-0000-4000-8000-0000${index.toString(16).padStart(8, '0')}`,
    password: 'bench',
    registrationId: 1,
    accessKey: Buffer.alloc(16, 7).toString('base64'),
  }))
}

/** Registers numbers `from` to `to` as people do: session, code, keys. All share one set of keys, made once. */
export async function registerAccounts(ready: Ready, from: number, to: number): Promise<Account[]> {
  const registrar = new Registrar(ready)
  const accounts: Account[] = []
  let next = from
  const worker = async () => {
    while (next < to) {
      const index = next++
      accounts[index - from] = await registrar.register(`+${FIRST_NUMBER + index}`)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  registrar.close()
  return accounts
}

class Registrar {
  private readonly ready: Ready
  private readonly agent: Agent
  private readonly keys = { ...identityKeys('aci'), ...identityKeys('pni') }
  private readonly codes: Codes

  constructor(ready: Ready) {
    this.ready = ready
    this.agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE, ca: readFileSync(ready.tls.caPem) })
    this.codes = new Codes(ready.outbox!)
  }

  async register(number: string): Promise<Account> {
    const sessions = '/v1/verification/session'
    const { id = '' } = await this.call('POST', sessions, { number })
    await this.call('POST', `${sessions}/${id}/code`, { transport: 'sms', client: 'android' })
    const code = await this.codes.for(number)
    const { verified } = await this.call('PUT', `${sessions}/${id}/code`, { code })
    if (!verified) throw new Error(`the code for ${number} was not taken`)
    const password = randomBytes(18).toString('base64url')
    const accessKey = randomBytes(16)
    const registrationId = 1 + (randomBytes(2).readUInt16BE() & 0x3ffe)
    const body = { sessionId: id, ...this.keys, ...attributes(registrationId, accessKey) }
    const credentials = `Basic ${Buffer.from(`${number}:${password}`).toString('base64')}`
    const { uuid = '' } = await this.call('POST', '/v1/registration', body, credentials)
    return { aci: uuid, password, registrationId, accessKey: accessKey.toString('base64') }
  }

  close(): void {
    this.agent.destroy()
  }

  private call(
    method: string,
    path: string,
    body: object,
    authorization?: string,
  ): Promise<Record<string, string>> {
    const headers = { 'content-type': 'application/json', ...(authorization && { authorization }) }
    return new Promise((resolve, reject) => {
      const outgoing = request(
        `${this.ready.urls.chat}${path}`,
        { method, headers, agent: this.agent },
        (answer) => {
          let text = ''
          answer.setEncoding('utf8')
          answer.on('data', (chunk: string) => {
            text += chunk
          })
          answer.on('end', () => {
            if (answer.statusCode === 200) resolve(JSON.parse(text))
            else reject(new Error(`${method} ${path}: ${answer.statusCode} ${text}`))
          })
        },
      )
      outgoing.on('error', reject)
      outgoing.end(JSON.stringify(body))
    })
  }
}

function identityKeys(identity: 'aci' | 'pni') {
  const identityKey = PrivateKey.generate()
  const signed = (keyId: number, publicKey: Uint8Array<ArrayBuffer>) => ({
    keyId,
    publicKey: base64(publicKey),
    signature: base64(identityKey.sign(publicKey)).replace(/=+$/, ''),
  })
  return {
    [`${identity}IdentityKey`]: base64(identityKey.getPublicKey().serialize()),
    [`${identity}SignedPreKey`]: signed(SIGNED_KEY_ID, PrivateKey.generate().getPublicKey().serialize()),
    [`${identity}PqLastResortPreKey`]: signed(KYBER_KEY_ID, KEMKeyPair.generate().getPublicKey().serialize()),
  }
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')

const attributes = (registrationId: number, accessKey: Buffer) => ({
  skipDeviceTransfer: true,
  accountAttributes: {
    fetchesMessages: true,
    registrationId,
    pniRegistrationId: registrationId,
    // libsignal writes this one as an array of numbers.
    unidentifiedAccessKey: [...accessKey],
    unrestrictedUnidentifiedAccess: false,
    discoverableByPhoneNumber: true,
    capabilities: { spqr: true, attachmentBackfill: true },
  },
})

/** The codes in the outbox (design §7): one JSON object a line. */
class Codes {
  private readonly path: string
  private readonly seen = new Map<string, string>()
  private readTo = 0

  constructor(path: string) {
    this.path = path
  }

  async for(number: string): Promise<string> {
    const deadline = Date.now() + CODE_WITHIN_MS
    while (!this.seen.has(number)) {
      if (Date.now() > deadline) throw new Error(`no code for ${number} in ${this.path}`)
      await sleep(5)
      this.read()
    }
    return this.seen.get(number)!
  }

  private read(): void {
    const news = readFileSync(this.path).subarray(this.readTo)
    const end = news.lastIndexOf(10) + 1
    this.readTo += end
    for (const line of news.toString('utf8', 0, end).split('\n')) {
      if (!line) continue
      const { to, code } = JSON.parse(line)
      this.seen.set(to, code)
    }
  }
}
