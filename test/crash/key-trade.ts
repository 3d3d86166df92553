// One device publishes one-time pre-keys, others take them, across crashes: each key is handed out once at most.
import * as LS from '@signalapp/libsignal-client'
import { basic } from '../client/https.ts'
import { base64, ecJson, makeKyberPreKey, signedJson } from '../client/identity-keys.ts'
import { enrol } from './enrolment.ts'
import type { Complain, Desk, SideJob } from './side-job.ts'

/** Keys of each kind in an upload, which is a generation: its number is the upper part of their ids. */
const PER_GENERATION = 8
const IDS_PER_GENERATION = 64
const TAKERS = 3
/** After this many rounds of takers the generation is used up. */
const TURNS = 4

const generationOf = (keyId: number) => Math.floor(keyId / IDS_PER_GENERATION)

type Owner = Awaited<ReturnType<typeof enrol>>

export class KeyTrade implements SideJob {
  readonly #complain: Complain
  readonly #number: string
  #owner: Owner | undefined
  #generation = 0
  /** The newest generation that is known to have replaced those before it. */
  #reached = 0
  readonly #published = new Map<number, { readonly ec: string; readonly kem: string }>()
  readonly #taken = new Set<number>()
  /** Uploads that were answered, and keys that were taken. */
  uploads = 0
  taken = 0

  constructor(complain: Complain, number: string) {
    this.#complain = complain
    this.#number = number
  }

  async run(desk: Desk): Promise<void> {
    this.#owner ??= await enrol(desk, this.#number)
    const owner = this.#owner
    await this.#count(desk, owner)
    while (!desk.isOver()) {
      for (let turn = 0; turn < TURNS; turn++)
        await Promise.all(Array.from({ length: TAKERS }, () => this.#take(desk, owner)))
      await this.#publish(desk, owner)
    }
  }

  async #publish({ call, ripe }: Desk, owner: Owner): Promise<void> {
    const generation = ++this.#generation
    const ids = Array.from({ length: PER_GENERATION }, (_, index) => generation * IDS_PER_GENERATION + index)
    const preKeys = ids.map((id) => {
      const key = LS.PrivateKey.generate()
      return ecJson(LS.PreKeyRecord.new(id, key.getPublicKey(), key))
    })
    const pqPreKeys = ids.map((id) => signedJson(makeKyberPreKey(owner.keys.aci.pair, id)))
    for (const [index, id] of ids.entries())
      this.#published.set(id, { ec: preKeys[index]!.publicKey, kem: pqPreKeys[index]!.publicKey })
    const headers = { authorization: basic(`${owner.aci}.1`, owner.password) }
    ripe()
    const { status } = await call('PUT', '/v2/keys', { json: { preKeys, pqPreKeys }, headers })
    if (status !== 200) this.#complain(`an upload of pre-keys was answered with ${status}`)
    this.#reached = Math.max(this.#reached, generation)
    this.uploads++
  }

  async #take({ call }: Desk, owner: Owner): Promise<void> {
    const least = this.#reached
    const accessKey = base64(Uint8Array.from(owner.body.accountAttributes.unidentifiedAccessKey))
    const headers = { 'unidentified-access-key': accessKey }
    const { status, json } = await call('GET', `/v2/keys/${owner.aci}/1`, { headers })
    if (status !== 200) return this.#complain(`pre-keys were asked for, and the answer was ${status}`)
    const { preKey, pqPreKey } = json.devices[0]
    const isLastResort = pqPreKey.publicKey === owner.body.aciPqLastResortPreKey.publicKey
    if (!preKey || isLastResort) {
      if (preKey || !isLastResort) this.#complain('one kind of one-time keys ran out before the other')
      return
    }
    this.#check(preKey, pqPreKey, least)
  }

  #check(
    ec: { keyId: number; publicKey: string },
    kem: { keyId: number; publicKey: string },
    least: number,
  ): void {
    const published = this.#published.get(ec.keyId)
    const key = `one-time key ${ec.keyId}`
    if (ec.keyId !== kem.keyId) this.#complain(`${key} came with Kyber key ${kem.keyId}: not taken together`)
    if (published?.ec !== ec.publicKey || published.kem !== kem.publicKey)
      this.#complain(`${key} is not what was published`)
    if (this.#taken.has(ec.keyId)) this.#complain(`${key} was handed out twice`)
    const generation = generationOf(ec.keyId)
    if (generation < least) this.#complain(`${key} came after generation ${least} had replaced it`)
    this.#taken.add(ec.keyId)
    this.#reached = Math.max(this.#reached, generation)
    this.taken++
  }

  /** An upload is there as a whole or not at all. */
  async #count({ call }: Desk, owner: Owner): Promise<void> {
    const headers = { authorization: basic(`${owner.aci}.1`, owner.password) }
    const { json } = await call('GET', '/v2/keys', { headers })
    if (json.count !== json.pqCount)
      this.#complain(`${json.count} EC keys and ${json.pqCount} Kyber keys are left`)
  }
}
