// Floor 2: a relay that speaks Signal's frames. Stores nothing, and keeps no rules.
import type { WebSocket } from 'ws'
import { open } from './door.ts'
import { readSend, SUCCESS } from './grpc-frames.ts'
import { accepted, encodeEnvelope, push, readFrame, type Submission } from './signal-frames.ts'

const online = new Map<string, WebSocket>()
const waiting = new Map<string, Buffer[]>()
let nextId = 1

open({
  onSocket(socket, user) {
    if (user) register(user, socket)
    socket.on('message', (data: Buffer) => {
      const frame = readFrame(data)
      if (frame?.kind !== 'request') return
      const nowMs = Date.now()
      deliver(frame.submission, user, nowMs)
      socket.send(accepted(frame.id, nowMs))
    })
  },
  onCall(call) {
    deliver(readSend(call.message), call.user, Date.now())
    call.reply(SUCCESS)
  },
})

function register(user: string, socket: WebSocket): void {
  online.set(user, socket)
  socket.on('close', () => online.get(user) === socket && online.delete(user))
  for (const envelope of waiting.get(user) ?? []) socket.send(push(nextId++, envelope, Date.now()))
  waiting.delete(user)
}

function deliver(submission: Submission, source: string | undefined, nowMs: number): void {
  const envelope = encodeEnvelope(submission, source, nowMs)
  const recipient = online.get(submission.destination)
  if (recipient) recipient.send(push(nextId++, envelope, nowMs))
  else keep(submission.destination, envelope)
}

function keep(destination: string, envelope: Buffer): void {
  const queue = waiting.get(destination)
  if (queue) queue.push(envelope)
  else waiting.set(destination, [envelope])
}
