// F2: the file store is killed a hundred times while files come in by every door. Nothing that it acknowledged is lost,
// nobody ever sees half a file, and what does not become a file takes no room for ever.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { ABANDONED_AFTER_MS } from '../../server/files/disk/disk-store.ts'
import { bytesBelow } from '../../server/files/disk/folders.ts'
import { gather } from '../files/disk.ts'
import { DOORS, type Doors, type Permitted } from '../files/doors.ts'
import { within } from '../within.ts'
import { Dice } from './dice.ts'
import { FilesProcess } from './files-process.ts'

const ROUNDS = 100
/** So many at once, each on its own folder: a start is mostly waiting. */
const STORES = 2
/** By each door one. */
const UPLOADS_A_ROUND = DOORS.length
const PIECE_BYTES = 16_384
const MAX_PIECES = 16
/** Of these uploads the client never comes back. */
const LEFT = 0.1

/** An upload as its client knows it. */
type Attempt = {
  readonly permitted: Permitted
  readonly bytes: Buffer
  /** Bytes that were said to be on disk. */
  acknowledged: number
}

class Round {
  readonly #doors: Doors
  readonly #dice: Dice
  readonly #fatalPiece: number
  readonly #kill: () => Promise<void>
  #pieces = 0
  #killed: Promise<void> | undefined

  constructor(doors: Doors, dice: Dice, kill: () => Promise<void>) {
    this.#doors = doors
    this.#dice = dice
    this.#kill = kill
    this.#fatalPiece = dice.below(UPLOADS_A_ROUND * MAX_PIECES)
  }

  /** Uploads by every door at once, and a reader of each; in the middle of it, or right after, the store is killed. */
  async run(): Promise<Attempt[]> {
    const attempts = await Promise.all(
      Array.from({ length: UPLOADS_A_ROUND }, (_, index) => this.#begin(index)),
    )
    // A client whose server is gone is told nothing: that is no failure here.
    const quietly = (work: Promise<void>) =>
      work.catch((error) => {
        if (error instanceof assert.AssertionError) throw error
      })
    const all = attempts.flatMap((attempt) => [quietly(this.#send(attempt)), quietly(this.#watch(attempt))])
    await within(Promise.all(all), 'the uploads of a round to end')
    await (this.#killed ?? this.#kill())
    return attempts
  }

  async #begin(index: number): Promise<Attempt> {
    const bytes = randomBytes(1 + this.#dice.below(MAX_PIECES * PIECE_BYTES))
    const permitted = await this.#doors.permit(DOORS[index % DOORS.length]!, bytes.length)
    return { permitted, bytes, acknowledged: 0 }
  }

  /** In one go, or in parts where it can be gone on with. */
  async #send(attempt: Attempt): Promise<void> {
    const { permitted, bytes } = attempt
    if (permitted.parts && this.#dice.chance(0.6)) {
      while (attempt.acknowledged < bytes.length) {
        const next = attempt.acknowledged + 1 + this.#dice.below(4 * PIECE_BYTES)
        for await (const _ of this.#inPieces(bytes.subarray(attempt.acknowledged, next)));
        attempt.acknowledged = await permitted.parts.append(
          attempt.acknowledged,
          bytes.subarray(attempt.acknowledged, next),
        )
      }
    } else {
      assert.equal(await permitted.send(this.#inPieces(bytes)), permitted.doneStatus)
      attempt.acknowledged = bytes.length
    }
  }

  async #watch({ permitted, bytes }: Attempt): Promise<void> {
    for (let turns = this.#dice.below(40); turns > 0; turns--) await new Promise(setImmediate)
    await mustBeWholeOrNothing(this.#doors, permitted, bytes)
  }

  async *#inPieces(bytes: Buffer): AsyncGenerator<Buffer> {
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
      if (this.#pieces++ === this.#fatalPiece) this.#killed = this.#killSoon()
      yield bytes.subarray(at, at + PIECE_BYTES)
      await new Promise(setImmediate)
    }
  }

  async #killSoon(): Promise<void> {
    for (let turns = this.#dice.below(30); turns > 0; turns--) await new Promise(setImmediate)
    await this.#kill()
  }
}

/** Whether it is there. */
async function mustBeWholeOrNothing(doors: Doors, { key }: Permitted, bytes: Buffer): Promise<boolean> {
  const { status, body } = await doors.download(key)
  const found = await gather(body)
  if (status === 404) return false
  assert.equal(status, 200)
  assert.ok(bytes.equals(found), `half a file, or another, was served as ${key}`)
  return true
}

/** What a client does that finds its server again. Gives the bytes that are a file now. */
async function goOn(
  doors: Doors,
  { permitted, bytes, acknowledged }: Attempt,
  isLeft: boolean,
): Promise<number> {
  const { parts } = permitted
  const isThere = await mustBeWholeOrNothing(doors, permitted, bytes)
  assert.ok(isThere || acknowledged < bytes.length, 'a file that was acknowledged is lost')
  if (isLeft && !isThere) return 0
  if (parts) {
    const offset = await parts.offset()
    assert.ok(offset >= acknowledged, `${offset} of ${acknowledged} acknowledged bytes are left`)
    if (offset < bytes.length) assert.equal(await parts.append(offset, bytes.subarray(offset)), bytes.length)
  } else if (!isThere) assert.equal(await permitted.send([bytes]), permitted.doneStatus)
  if (!isThere) assert.ok(await mustBeWholeOrNothing(doors, permitted, bytes), 'it is there in the end')
  return bytes.length
}

async function crashes(rounds: number, seed: number, say: (line: string) => void): Promise<void> {
  const dice = new Dice(seed)
  await using store = await FilesProcess.start()
  const counts = { cut: 0, whole: 0, left: 0 }
  let finishedBytes = 0
  for (let round = 0; round < rounds; round++) {
    const httpVersion = round % 2 === 0 ? 1 : 2
    const attempts = await new Round(store.doors(httpVersion), dice, () => store.kill()).run()
    await store.restart()
    const doors = store.doors(httpVersion)
    for (const attempt of attempts) {
      const isCut = attempt.acknowledged < attempt.bytes.length
      const bytes = await goOn(doors, attempt, dice.chance(LEFT))
      counts[bytes === 0 ? 'left' : isCut ? 'cut' : 'whole']++
      finishedBytes += bytes
    }
  }
  say(
    `${rounds} kills: ${counts.cut} uploads were cut and gone on with, ${counts.left} left, ${counts.whole} whole`,
  )
  assert.ok(Math.min(...Object.values(counts)) > 0, 'every case came')
  const usedBefore = await store.usedBytes()
  assert.ok(usedBefore > finishedBytes, 'what was left takes room for a day')
  await store.restart(ABANDONED_AFTER_MS + 60_000)
  const folder = join(store.data, 'files')
  assert.deepEqual(await readdir(join(folder, 'uploads')), [], 'what was left is collected')
  assert.equal(await store.usedBytes(), finishedBytes)
  assert.equal(await bytesBelow(join(folder, 'objects')), finishedBytes)
}

test(`no byte that was acknowledged is lost to ${ROUNDS} kills, no half file is served, and no room is kept`, async (t: TestContext) => {
  const say = (line: string) => t.diagnostic(line)
  const seeds = Array.from({ length: STORES }, (_, index) => 5 + index)
  await Promise.all(seeds.map((seed) => crashes(ROUNDS / STORES, seed, say)))
})
