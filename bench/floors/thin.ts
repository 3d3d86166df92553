// Floor 1: a TLS websocket relay with the thinnest frames that carry the unit of work. Stores nothing.
//
// send     01 | seq u32 | destination u32 | payload      accepted  02 | seq u32
// deliver  03 | id u32 | payload                         received  04 | id u32
// A user is the number in the last eight hex digits of the ACI.
import type { WebSocket } from 'ws'
import { open } from './door.ts'

const SEND = 1
const ACCEPTED = 2
const DELIVER = 3
const SEND_HEAD_BYTES = 9
const DELIVER_HEAD_BYTES = 5

const online = new Map<number, WebSocket>()
const waiting = new Map<number, Buffer[]>()
let nextId = 0

open({
  onSocket(socket, user) {
    if (user) register(Number.parseInt(user.slice(-8), 16), socket)
    socket.on('message', (frame: Buffer) => {
      if (frame[0] === SEND) relay(socket, frame)
    })
  },
})

function register(user: number, socket: WebSocket): void {
  online.set(user, socket)
  socket.on('close', () => online.get(user) === socket && online.delete(user))
  for (const delivery of waiting.get(user) ?? []) socket.send(delivery)
  waiting.delete(user)
}

function relay(sender: WebSocket, frame: Buffer): void {
  const answer = Buffer.allocUnsafe(5)
  answer[0] = ACCEPTED
  frame.copy(answer, 1, 1, 5)
  sender.send(answer)
  const delivery = Buffer.allocUnsafe(frame.length - SEND_HEAD_BYTES + DELIVER_HEAD_BYTES)
  delivery[0] = DELIVER
  delivery.writeUInt32BE(nextId++ >>> 0, 1)
  frame.copy(delivery, DELIVER_HEAD_BYTES, SEND_HEAD_BYTES)
  const destination = frame.readUInt32BE(5)
  const recipient = online.get(destination)
  if (recipient) recipient.send(delivery)
  else keep(destination, delivery)
}

function keep(destination: number, delivery: Buffer): void {
  const queue = waiting.get(destination)
  if (queue) queue.push(delivery)
  else waiting.set(destination, [delivery])
}
