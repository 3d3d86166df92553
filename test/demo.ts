// `npm run demo`: two people talk, the server is killed twice in the middle of it, and nothing is lost.
import { randomInt } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { SignalClient } from './client/signal-client.ts'
import { Narrator } from './demo/narrator.ts'
import { Stream } from './demo/stream.ts'
import { ServerProcess } from './server-process.ts'

const MESSAGES = 500
const GREETING = 'Are you there, Boris? Nobody in between can read this.'
const REPLY = 'I am. Not even the server that carries it?'
const LAST_WORDS = 'Not even that one. Now I switch my phone off for a while.'

const story = new Narrator()
const ms = (sinceMs: number) => `${(performance.now() - sinceMs).toFixed(0)} ms`

async function startServer(): Promise<ServerProcess> {
  const sinceMs = performance.now()
  const server = await ServerProcess.start()
  story.tell(
    `The server is up after ${ms(sinceMs)}: process ${server.pid}, port ${server.port}, a new folder for its data.`,
  )
  return server
}

async function register(server: ServerProcess, name: string, httpVersion: 1 | 2): Promise<SignalClient> {
  const sinceMs = performance.now()
  const client = await SignalClient.create(server, { httpVersion })
  const { number } = client.account
  story.tell(
    `${name} registers ${number} with libsignal over HTTP/${httpVersion}, and publishes keys (${ms(sinceMs)}).`,
  )
  return client
}

/** Gives what the server carried. */
async function say(name: string, from: SignalClient, to: SignalClient, words: string): Promise<Uint8Array> {
  const sinceMs = performance.now()
  await from.sendText(to, words)
  const { text, envelope } = await to.messages.next()
  story.says(name, text, `(${envelope.content.length} bytes of ciphertext, read after ${ms(sinceMs)})`)
  return envelope.content
}

function filesIn(folder: string): Buffer[] {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  const files = names.map((name) => join(folder, name)).filter((file) => statSync(file).isFile())
  return files.map((file) => readFileSync(file))
}

/** Looks for their words in what the server carried and in what it keeps; gives how often they are there. */
function search(carried: readonly Uint8Array[], folder: string): number {
  const files = filesIn(folder)
  const places = [...carried.map((bytes) => Buffer.from(bytes)), ...files]
  const found = places.filter((place) => [GREETING, REPLY, LAST_WORDS].some((text) => place.includes(text)))
  const kib = (files.reduce((sum, { length }) => sum + length, 0) / 1024).toFixed(0)
  story.tell(
    `Their words are in ${found.length} of the ${carried.length} envelopes that the server carried, ` +
      `and of its ${files.length} files (${kib} KiB).`,
  )
  return found.length
}

async function kill(server: ServerProcess): Promise<void> {
  const { pid } = server
  const killed = server.kill('SIGKILL')
  story.alarm(`kill -9 ${pid}`)
  await killed
}

async function restart(server: ServerProcess): Promise<void> {
  const sinceMs = performance.now()
  await server.restart(0)
  story.tell(`The server is up again after ${ms(sinceMs)}, on the same data.`)
}

/** Ada writes while Boris is away, and the server dies under it. */
async function killTheWriter(server: ServerProcess, stream: Stream): Promise<void> {
  const killAt = randomInt(MESSAGES / 4, (3 * MESSAGES) / 4)
  let killed = Promise.resolve()
  story.tell(`Ada writes ${MESSAGES} messages to Boris, one after the other.`)
  const unanswered = await stream.flow((answers) => {
    if (answers === killAt) killed = kill(server)
  })
  await killed
  story.tell(
    `${stream.answered.size} were answered with 200: they are on disk. Number ${unanswered} got no answer.`,
  )
  await restart(server)
  await stream.from.connect()
  story.tell(`Ada connects again and goes on with number ${unanswered}, as any client does.`)
  await stream.flow()
  story.tell(`All ${stream.answered.size} are answered. Boris has read ${stream.read.length}.`)
}

/** Boris comes back, and the server dies while it hands him what waited. */
async function killTheReader(server: ServerProcess, stream: Stream): Promise<void> {
  const { to: boris } = stream
  const before = boris.messages.all.length
  const killAt = randomInt(10, MESSAGES / 5)
  story.tell('Boris switches his phone on, and reads.')
  await boris.connect()
  await boris.messages.size(before + killAt)
  await kill(server)
  await boris.settled()
  story.tell(`Boris had read ${stream.read.length} by then.`)
  await restart(server)
  const link = await boris.connect()
  await link.queueEmpty()
  await boris.settled()
  story.tell(`The rest follows, until the server says that Boris’ queue is empty.`)
}

function conclude(stream: Stream, found: number, talked: boolean): boolean {
  const { to: boris, from: ada } = stream
  const unreadable = boris.unreadable.all.length + ada.unreadable.all.length
  const read = new Set(stream.read).size
  story.scene('What happened to the messages that Boris missed')
  story.figure('written by Ada', stream.count)
  story.figure('answered with 200', stream.answered.size)
  story.figure('read by Boris', read)
  story.figure('lost', stream.lost)
  story.figure('in the order of writing', stream.inOrder ? 'yes' : 'no')
  story.figure('handed over twice, shown once', boris.duplicates.all.length)
  story.figure('sent twice, shown once', stream.resent)
  story.figure('unreadable', unreadable)
  const isGood = read === MESSAGES && stream.lost + unreadable + found === 0 && stream.inOrder && talked
  const seconds = story.seconds.toFixed(0)
  story.verdict(
    isGood,
    isGood
      ? `Two kills in mid-stream, ${read} of ${stream.count} messages read, each shown once, none lost (${seconds} s).`
      : `The promise was broken: ${stream.lost} of ${stream.answered.size} answered messages were lost.`,
  )
  return isGood
}

async function demo(): Promise<boolean> {
  story.title('Heliograph: two people, one server, and kill -9')
  story.scene('They meet')
  await using server = await startServer()
  await using ada = await register(server, 'Ada', 2)
  await using boris = await register(server, 'Boris', 1)
  const carried = [
    await say('Ada', ada, boris, GREETING),
    await say('Boris', boris, ada, REPLY),
    await say('Ada', ada, boris, LAST_WORDS),
  ]
  const found = search(carried, server.data)
  await boris.disconnect()

  const stream = new Stream(ada, boris, MESSAGES)
  story.scene('The server dies while it takes messages in')
  await killTheWriter(server, stream)
  story.scene('The server dies while it hands them out')
  await killTheReader(server, stream)

  story.scene('They go on')
  await ada.connect()
  const words = `I have all ${new Set(stream.read).size}.`
  await say('Boris', boris, ada, words)
  return conclude(stream, found, ada.messages.all.at(-1)?.text === words)
}

// `exit` takes the server along.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))

try {
  process.exitCode = (await demo()) ? 0 : 1
} catch (error) {
  story.verdict(false, `The story broke off: ${(error as Error).message}`)
  process.exitCode = 1
}
