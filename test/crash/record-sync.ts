// One device writes its encrypted records across crashes: what was answered is there, and a manifest has its records.
import type { StorageManifest } from '../../wire/gen/storage.js'
import { basic } from '../client/https.ts'
import { RecordKeeper } from '../client/record-keeper.ts'
import { inOrder, keysOf, newItems, noise, type RecordItem } from '../records.ts'
import type { Dice } from './dice.ts'
import { enrol } from './enrolment.ts'
import type { Complain, Desk, SideJob } from './side-job.ts'

const MOST_ADDED = 150
const MOST_KEPT = 200
/** The others' large requests are to be killed, too. */
const RIPE = 0.25

type State = { readonly version: number; readonly items: readonly RecordItem[] }
type Owner = Awaited<ReturnType<typeof enrol>>

export class RecordSync implements SideJob {
  readonly #dice: Dice
  readonly #complain: Complain
  readonly #number: string
  #owner: Owner | undefined
  /** What was answered last. */
  #stored: State = { version: 0, items: [] }
  /** What was asked after it; whether the server took it, is not known. */
  #asked: State | undefined
  /** Writes that were answered. */
  writes = 0

  constructor(dice: Dice, complain: Complain, number: string) {
    this.#dice = dice
    this.#complain = complain
    this.#number = number
  }

  async run(desk: Desk): Promise<void> {
    this.#owner ??= await enrol(desk, this.#number)
    const { aci, password } = this.#owner
    const keeper = new RecordKeeper(desk, async () => {
      const headers = { authorization: basic(`${aci}.1`, password) }
      return (await desk.call('GET', '/v1/storage/auth', { headers })).json
    })
    await this.#look(keeper)
    while (!desk.isOver()) {
      await this.#write(desk, keeper)
      if (this.#dice.chance(0.2)) await this.#look(keeper)
    }
  }

  async #write({ ripe }: Desk, keeper: RecordKeeper): Promise<void> {
    const { version, items } = this.#stored
    const kept = items.slice(0, this.#dice.below(MOST_KEPT))
    const added = newItems(1 + this.#dice.below(MOST_ADDED), 100)
    const clearAll = this.#dice.chance(0.2)
    this.#asked = { version: version + 1, items: [...kept, ...added] }
    if (this.#dice.chance(RIPE)) ripe()
    const { status } = await keeper.write({
      manifest: { version: version + 1, value: noise(50) },
      insertItem: clearAll ? this.#asked.items : added,
      deleteKey: clearAll ? [] : keysOf(items.slice(kept.length)),
      clearAll,
    })
    if (status !== 200) return this.#complain(`a write of records was answered with ${status}`)
    this.#settle(this.#asked)
    this.writes++
  }

  #settle(state: State): void {
    this.#stored = state
    this.#asked = undefined
  }

  /** The manifest is the one that was answered last, or the one after it; the records are those of the same write. */
  async #look(keeper: RecordKeeper): Promise<void> {
    const found = await keeper.manifest()
    const possible: readonly (State | undefined)[] = [this.#stored, this.#asked]
    const state = possible.find((one) => one?.version === versionOf(found))
    if (!state) return this.#complain(`records of version ${found?.version} came out of nowhere`)
    const every = possible.flatMap((one) => one?.items ?? [])
    if (every.length > 0 && !same(await keeper.read(keysOf(every)), state.items))
      this.#complain(`records are not those of manifest ${state.version}`)
    this.#settle(state)
  }
}

const versionOf = (manifest: StorageManifest | undefined): number => manifest?.version ?? 0
const same = (one: Parameters<typeof inOrder>[0], other: readonly RecordItem[]) =>
  inOrder(one).join() === inOrder(other).join()
