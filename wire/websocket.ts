// The frames inside Signal's websockets, one binary frame each (docs/protocol/websocket.md).
//
//   WebSocketMessage          1 type (1 request, 2 response) · 2 request · 3 response
//   WebSocketRequestMessage   1 verb · 2 path · 3 body · 4 id · 5 headers, each "name:value"
//   WebSocketResponseMessage  1 id · 2 status · 3 message · 4 body · 5 headers
//
// Written by hand: every message crosses this codec four times, and ids need all their 64 bits.

/** Chosen by whoever asks, echoed by whoever answers: any unsigned 64-bit number. */
export type FrameId = number | bigint

export type RequestFrame = {
  readonly kind: 'request'
  readonly id: FrameId | undefined
  readonly verb: string
  readonly path: string
  readonly headers: readonly string[]
  readonly body: Uint8Array
}

export type ResponseFrame = {
  readonly kind: 'response'
  readonly id: FrameId | undefined
  readonly status: number
  readonly message: string
  readonly headers: readonly string[]
  readonly body: Uint8Array
}

/** Above these, 1009 and 1007 answer. The longest body that any route takes fits in, with its path and headers. */
export const MAX_FRAME_BYTES = 784 * 1024
export const MAX_FRAME_HEADERS = 128

export const CLOSE = {
  badlyFormatted: { code: 1007, reason: 'Badly formatted' },
  serverError: { code: 1011, reason: 'Server error' },
  shutdown: { code: 1000, reason: 'OK' },
  timeout: { code: 1000, reason: 'Timeout' },
  closed: { code: 1000, reason: 'Closed' },
  reauthenticate: { code: 4401, reason: 'Reauthentication required' },
  connectedElsewhere: { code: 4409, reason: 'Connected elsewhere' },
} as const
export type Close = (typeof CLOSE)[keyof typeof CLOSE]

const EMPTY = Buffer.alloc(0)
const NO_HEADERS: readonly string[] = []
const WIRE_VARINT = 0
const WIRE_FIXED64 = 1
const WIRE_BYTES = 2
const WIRE_FIXED32 = 5

class Reader {
  private readonly bytes: Buffer
  position: number
  private readonly end: number

  constructor(bytes: Buffer, position: number, end: number) {
    this.bytes = bytes
    this.position = position
    this.end = end
  }

  get more(): boolean {
    return this.position < this.end
  }

  /** A varint of up to 64 bits, exact. */
  varint(): FrameId {
    let value = 0
    let factor = 1
    for (let count = 0; count < 7; count++) {
      const byte = this.byte()
      value += (byte & 0x7f) * factor
      if (byte < 0x80) return value
      factor *= 0x80
    }
    return this.longVarint(value)
  }

  private longVarint(low: number): FrameId {
    let value = BigInt(low)
    for (let shift = 49n; shift < 70n; shift += 7n) {
      const byte = this.byte()
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) {
        const exact = BigInt.asUintN(64, value)
        return exact <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(exact) : exact
      }
    }
    throw new RangeError('varint of more than ten bytes')
  }

  small(): number {
    return Number(this.varint())
  }

  slice(): Buffer {
    const length = this.small()
    const start = this.position
    if (length > this.end - start) throw new RangeError('length beyond the frame')
    this.position = start + length
    return this.bytes.subarray(start, this.position)
  }

  text(): string {
    const length = this.small()
    const start = this.position
    if (length > this.end - start) throw new RangeError('length beyond the frame')
    this.position = start + length
    return this.bytes.toString('utf8', start, this.position)
  }

  nested(): Reader {
    const length = this.small()
    const start = this.position
    if (length > this.end - start) throw new RangeError('length beyond the frame')
    this.position = start + length
    return new Reader(this.bytes, start, this.position)
  }

  skip(wireType: number): void {
    if (wireType === WIRE_VARINT) this.varint()
    else if (wireType === WIRE_BYTES) this.slice()
    else if (wireType === WIRE_FIXED64) this.advance(8)
    else if (wireType === WIRE_FIXED32) this.advance(4)
    else throw new RangeError('wire type that no field has')
  }

  private byte(): number {
    if (this.position >= this.end) throw new RangeError('frame ends within a field')
    return this.bytes[this.position++]!
  }

  private advance(count: number): void {
    if (count > this.end - this.position) throw new RangeError('frame ends within a field')
    this.position += count
  }
}

function readRequest(reader: Reader): RequestFrame {
  let id: FrameId | undefined
  let verb = ''
  let path = ''
  let body: Buffer = EMPTY
  let headers: string[] | undefined
  while (reader.more) {
    const tag = reader.small()
    if (tag === 0x0a) verb = reader.text()
    else if (tag === 0x12) path = reader.text()
    else if (tag === 0x1a) body = reader.slice()
    else if (tag === 0x20) id = reader.varint()
    else if (tag === 0x2a) {
      headers ??= []
      headers.push(reader.text())
      if (headers.length > MAX_FRAME_HEADERS) throw new RangeError('too many headers')
    } else reader.skip(tag & 7)
  }
  return { kind: 'request', id, verb, path, headers: headers ?? NO_HEADERS, body }
}

function readResponse(reader: Reader): ResponseFrame {
  let id: FrameId | undefined
  let status = 0
  let message = ''
  let body: Buffer = EMPTY
  let headers: string[] | undefined
  while (reader.more) {
    const tag = reader.small()
    if (tag === 0x08) id = reader.varint()
    else if (tag === 0x10) status = reader.small()
    else if (tag === 0x1a) message = reader.text()
    else if (tag === 0x22) body = reader.slice()
    else if (tag === 0x2a) {
      headers ??= []
      headers.push(reader.text())
      if (headers.length > MAX_FRAME_HEADERS) throw new RangeError('too many headers')
    } else reader.skip(tag & 7)
  }
  return { kind: 'response', id, status, message, headers: headers ?? NO_HEADERS, body }
}

/** Reads one frame; nothing if it is not one (close 1007). The body is a view into `bytes`. */
export function decodeFrame(bytes: Buffer): RequestFrame | ResponseFrame | undefined {
  try {
    return readFrame(new Reader(bytes, 0, bytes.length))
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}

function readFrame(reader: Reader): RequestFrame | ResponseFrame | undefined {
  let type = 0
  let request: RequestFrame | undefined
  let response: ResponseFrame | undefined
  while (reader.more) {
    const tag = reader.small()
    if (tag === 0x08) type = reader.small()
    else if (tag === 0x12) request = readRequest(reader.nested())
    else if (tag === 0x1a) response = readResponse(reader.nested())
    else reader.skip(tag & 7)
  }
  if (type === 1) return request
  return type === 2 ? response : undefined
}

const varintBytes = (value: number): number => {
  let count = 1
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) count++
  return count
}

const idBytes = (id: FrameId): number => {
  if (typeof id === 'number') return varintBytes(id)
  return Math.ceil(id.toString(2).length / 7)
}

/** Writes a whole number below 2^53; gives the position behind it. */
export function writeVarint(target: Buffer, at: number, value: number): number {
  let position = at
  let rest = value
  while (rest >= 0x80) {
    target[position++] = (rest % 0x80) | 0x80
    rest = Math.floor(rest / 0x80)
  }
  target[position++] = rest
  return position
}

function writeId(target: Buffer, at: number, id: FrameId): number {
  if (typeof id === 'number') return writeVarint(target, at, id)
  let position = at
  let rest = id
  while (rest >= 0x80n) {
    target[position++] = Number(rest & 0x7fn) | 0x80
    rest >>= 7n
  }
  target[position++] = Number(rest)
  return position
}

const textBytes = (text: string): number => {
  const length = Buffer.byteLength(text)
  return 1 + varintBytes(length) + length
}

function writeText(target: Buffer, at: number, tag: number, text: string, length: number): number {
  target[at] = tag
  const position = writeVarint(target, at + 1, length)
  return position + target.write(text, position)
}

const headersBytes = (headers: readonly string[]): number => {
  let total = 0
  for (const header of headers) total += textBytes(header)
  return total
}

/** The start of a frame: its type, and the tag and length of what it carries; the rest is left to be filled. */
function open(type: 1 | 2, inner: number): { frame: Buffer; position: number } {
  const frame = Buffer.allocUnsafe(3 + varintBytes(inner) + inner)
  frame[0] = 0x08
  frame[1] = type
  frame[2] = type === 1 ? 0x12 : 0x1a
  return { frame, position: writeVarint(frame, 3, inner) }
}

export function encodeRequest(request: Omit<RequestFrame, 'kind'>): Buffer {
  const { verb, path, body, headers, id } = request
  const verbLength = Buffer.byteLength(verb)
  const pathLength = Buffer.byteLength(path)
  const inner =
    textBytes(verb) +
    textBytes(path) +
    (body.length > 0 ? 1 + varintBytes(body.length) + body.length : 0) +
    (id === undefined ? 0 : 1 + idBytes(id)) +
    headersBytes(headers)
  const { frame, position: start } = open(1, inner)
  let position = writeText(frame, start, 0x0a, verb, verbLength)
  position = writeText(frame, position, 0x12, path, pathLength)
  position = writeBody(frame, position, 0x1a, body)
  if (id !== undefined) {
    frame[position] = 0x20
    position = writeId(frame, position + 1, id)
  }
  writeHeaders(frame, position, headers)
  return frame
}

export function encodeResponse(response: Omit<ResponseFrame, 'kind'>): Buffer {
  const { id, status, message, headers, body } = response
  const messageLength = Buffer.byteLength(message)
  const inner =
    (id === undefined ? 0 : 1 + idBytes(id)) +
    1 +
    varintBytes(status) +
    textBytes(message) +
    (body.length > 0 ? 1 + varintBytes(body.length) + body.length : 0) +
    headersBytes(headers)
  const { frame, position: start } = open(2, inner)
  let position = start
  if (id !== undefined) {
    frame[position] = 0x08
    position = writeId(frame, position + 1, id)
  }
  frame[position] = 0x10
  position = writeVarint(frame, position + 1, status)
  position = writeText(frame, position, 0x1a, message, messageLength)
  position = writeBody(frame, position, 0x22, body)
  writeHeaders(frame, position, headers)
  return frame
}

function writeBody(frame: Buffer, at: number, tag: number, body: Uint8Array): number {
  if (body.length === 0) return at
  frame[at] = tag
  const position = writeVarint(frame, at + 1, body.length)
  frame.set(body, position)
  return position + body.length
}

function writeHeaders(frame: Buffer, at: number, headers: readonly string[]): void {
  let position = at
  for (const header of headers) position = writeText(frame, position, 0x2a, header, Buffer.byteLength(header))
}
