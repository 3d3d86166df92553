// Floor 3: Signal's frames on SQLCipher: on disk before the answer, deleted on acknowledgement, and no rule at all:
// nobody is authenticated, nothing is limited, no receipts are made.
import { join } from 'node:path'
import type { WebSocket } from 'ws'
import { dataDirectory, open } from './door.ts'
import { GroupCommit } from './group-commit.ts'
import { readSend, SUCCESS } from './grpc-frames.ts'
import { accepted, compactId, encodeEnvelope, push, readFrame, type Submission } from './signal-frames.ts'

const PAGE_ROWS = 100
const MAX_UNANSWERED = 256

type Reader = {
  readonly socket: WebSocket
  live: boolean
  unanswered: number
  lastId: number
  reading: boolean
}

const readers = new Map<string, Reader>()
const queue = new GroupCommit(join(dataDirectory, 'floor.db'))

open({
  onSocket(socket, user) {
    const reader = user ? register(user, socket) : undefined
    socket.on('message', (data: Buffer) => {
      const frame = readFrame(data)
      if (frame?.kind === 'request') {
        const { id, submission } = frame
        store(submission, user, () => socket.send(accepted(id, Date.now())))
      } else if (frame && user && reader) {
        answered(user, reader, frame.id)
      }
    })
  },
  onCall(call) {
    store(readSend(call.message), call.user, () => call.reply(SUCCESS))
  },
})

function register(user: string, socket: WebSocket): Reader {
  const reader = { socket, live: false, unanswered: 0, lastId: 0, reading: false }
  readers.set(user, reader)
  socket.on('close', () => readers.get(user) === reader && readers.delete(user))
  void readOn(user, reader)
  return reader
}

function store(submission: Submission, source: string | undefined, done: () => void): void {
  const { destination } = submission
  const envelope = encodeEnvelope(submission, source, Date.now())
  queue.insert(compactId(destination), envelope, (id) => {
    done()
    const reader = readers.get(destination)
    if (reader?.live) send(reader, id, envelope)
  })
}

function send(reader: Reader, id: number, envelope: Uint8Array): void {
  reader.unanswered++
  reader.socket.send(push(id, envelope, Date.now()))
}

function answered(user: string, reader: Reader, id: number): void {
  reader.unanswered--
  queue.delete(id)
  if (!reader.live && reader.unanswered <= MAX_UNANSWERED - PAGE_ROWS) void readOn(user, reader)
}

/** Sends what waited, a page at a time. Pages and commits come from one thread, so that an empty page means live. */
async function readOn(user: string, reader: Reader): Promise<void> {
  if (reader.reading) return
  reader.reading = true
  const rows = await queue.read(compactId(user), reader.lastId, PAGE_ROWS)
  reader.reading = false
  for (const row of rows) {
    reader.lastId = row.id
    send(reader, row.id, row.envelope)
  }
  if (rows.length === 0) reader.live = true
}
