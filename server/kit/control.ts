// How the operator's commands ask the running server: a Unix socket in a folder that only its owner can enter. One
// JSON line asks (`{"name", "value"}`), one answers (`{"value"}` or `{"sentence"}`), then the connection ends.
import { mkdir, open, rm, stat } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import type { z } from 'zod'

/** One question that the server answers. */
export type ControlCall = { readonly name: string; answer(value: unknown): Promise<unknown> }

/** One sentence for the operator: what was asked cannot be, or nobody is there to be asked. */
export class ControlError extends Error {
  override readonly name = 'ControlError'
}

/** The question's value is read by the schema; the answer is JSON. A handler may throw `ControlError`. */
export const controlCall = <Schema extends z.ZodType>(
  name: string,
  schema: Schema,
  answer: (value: z.output<Schema>) => unknown,
): ControlCall => ({
  name,
  async answer(value) {
    const read = schema.safeParse(value)
    if (!read.success) throw new ControlError(`The server does not understand "${name}" put so.`)
    return answer(read.data)
  },
})

const FOLDER = 'control'
const SOCKET = 'socket'
const MAX_LINE = 1_048_576
/** `sun_path` of unix(7) holds 108 bytes with its end. */
const MAX_PATH_BYTES = 107
const ANSWER_WITHIN_MS = 30_000

type Question = { readonly name: string; readonly value: unknown }
type Reply = { readonly value?: unknown; readonly sentence?: string }

/** Calls with an address of the socket: through an open folder, where its own path is too long for one. */
async function withAddress<T>(dataFolder: string, use: (address: string) => Promise<T>): Promise<T> {
  const folder = join(dataFolder, FOLDER)
  const path = join(folder, SOCKET)
  if (Buffer.byteLength(path) <= MAX_PATH_BYTES) return use(path)
  const handle = await open(folder)
  return use(`/proc/self/fd/${handle.fd}/${SOCKET}`).finally(() => handle.close())
}

/** Resolves with the first line. Rejects if the other side is gone before its end, or it is too long. */
function firstLine(socket: Socket): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  let read = ''
  socket.setEncoding('utf8')
  socket.on('data', (text: string) => {
    read += text
    const end = read.indexOf('\n')
    if (end >= 0) resolve(read.slice(0, end))
    else if (read.length > MAX_LINE) socket.destroy(new Error('too long'))
  })
  socket.once('error', reject)
  socket.once('close', () => reject(new Error('closed')))
  return promise
}

export type ControlOptions = {
  readonly dataFolder: string
  readonly calls: readonly ControlCall[]
  readonly onBug: (error: unknown, where: string) => void
}

export class ControlDoor {
  readonly #server: Server
  readonly #calls: ReadonlyMap<string, ControlCall>
  readonly #onBug: ControlOptions['onBug']
  readonly #sockets = new Set<Socket>()

  private constructor({ calls, onBug }: ControlOptions) {
    this.#calls = new Map(calls.map((call) => [call.name, call]))
    this.#onBug = onBug
    this.#server = createServer((socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
      void this.#serve(socket)
    })
  }

  /** Takes the place of a socket that nobody answers any more. Throws `ControlError` if a server does. */
  static async open(options: ControlOptions): Promise<ControlDoor> {
    const { dataFolder } = options
    await mkdir(join(dataFolder, FOLDER), { recursive: true, mode: 0o700 })
    const door = new ControlDoor(options)
    await withAddress(dataFolder, async (address) => {
      if (await isAnswered(address)) throw new ControlError(`A server is running on ${dataFolder} already.`)
      await rm(address, { force: true })
      await door.#listen(address)
    })
    return door
  }

  /** Questions that are being answered are cut off. */
  async close(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#server.close(() => resolve())
    for (const socket of this.#sockets) socket.destroy()
    await promise
  }

  #listen(address: string): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#server.once('error', reject)
    this.#server.listen(address, resolve)
    return promise
  }

  async #serve(socket: Socket): Promise<void> {
    socket.setTimeout(ANSWER_WITHIN_MS, () => socket.destroy())
    try {
      const line = await firstLine(socket)
      socket.end(`${JSON.stringify(await this.#reply(line))}\n`)
    } catch {
      socket.destroy()
    }
  }

  async #reply(line: string): Promise<Reply> {
    const question = readQuestion(line)
    const call = question && this.#calls.get(question.name)
    if (!call) return { sentence: 'This server does not know that command: is it another version?' }
    try {
      return { value: (await call.answer(question.value)) ?? null }
    } catch (error) {
      if (error instanceof ControlError) return { sentence: error.message }
      this.#onBug(error, `control ${call.name}`)
      return { sentence: 'The server could not do it; its log says why.' }
    }
  }
}

function readQuestion(line: string): Question | undefined {
  try {
    const read: unknown = JSON.parse(line)
    return read !== null && typeof read === 'object' && 'name' in read ? (read as Question) : undefined
  } catch {
    return undefined
  }
}

async function isAnswered(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = connect(path, () => resolve(true))
  socket.once('error', () => resolve(false))
  return promise.finally(() => socket.destroy())
}

/** Asks the server that runs on a data folder. Throws `ControlError`. */
export async function askServer<Schema extends z.ZodType>(
  dataFolder: string,
  name: string,
  value: unknown,
  schema: Schema,
): Promise<z.output<Schema>> {
  if (!(await stat(join(dataFolder, FOLDER, SOCKET)).catch(() => undefined)))
    throw new ControlError(`No server runs on ${dataFolder}: start it, or name its folder with --data.`)
  const line = await withAddress(dataFolder, (address) => ask(address, { name, value })).catch(() => {
    throw new ControlError(`The server on ${dataFolder} does not answer.`)
  })
  const reply = JSON.parse(line) as Reply
  if (reply.sentence !== undefined) throw new ControlError(reply.sentence)
  return schema.parse(reply.value)
}

async function ask(address: string, question: Question): Promise<string> {
  const socket = connect(address)
  socket.write(`${JSON.stringify(question)}\n`)
  return firstLine(socket).finally(() => socket.destroy())
}
