import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
} from 'node:http2'
import type { Clock, Timer } from '../kit/clock.ts'
import { NoAnswer } from '../kit/outgoing.ts'

/** Whom to connect to. Certificates and keys are PEM. */
export type LineOptions = {
  readonly origin: string
  readonly clock: Clock
  /** Of the authorities that are believed; the host's unless told. */
  readonly ca?: string | undefined
  /** Who we are, by TLS. */
  readonly cert?: string | undefined
  readonly key?: string | undefined
}

export type LineRequest = {
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export type LineAnswer = {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** At most 64 KiB of it. */
  readonly body: string
}

const CONNECT_MS = 5_000
const PING_EVERY_MS = 30_000
const PONG_MS = 10_000
/** More at a time would not be faster. */
const MAX_STREAMS = 512
const MAX_ANSWER_BYTES = 65_536
const { NGHTTP2_CANCEL, NGHTTP2_REFUSED_STREAM } = constants

/** One HTTP/2 connection to a provider, for as long as the provider likes. */
export class Line {
  readonly #session: ClientHttp2Session
  readonly #pings: Timer
  readonly #changed: () => void
  #streams = 0
  #mostStreams = MAX_STREAMS
  /** The last stream that the other side looks at, once it said that it goes (RFC 9113 §6.8). */
  #lastStream = Number.POSITIVE_INFINITY

  private constructor(session: ClientHttp2Session, clock: Clock, changed: () => void) {
    this.#session = session
    this.#changed = changed
    this.#pings = clock.every(PING_EVERY_MS, () => this.#ping(clock))
  }

  /**
   * Resolves when the other side has said what it allows. `changed` is called when there may be more room, or none any
   * more. Rejects with `NoAnswer`.
   */
  static open({ origin, clock, ca, cert, key }: LineOptions, changed: () => void): Promise<Line> {
    const { promise, resolve, reject } = Promise.withResolvers<Line>()
    const session = connect(origin, {
      settings: { enablePush: false },
      ...(ca !== undefined && { ca }),
      ...(cert !== undefined && { cert, key }),
    })
    const line = new Line(session, clock, changed)
    const refuse = (code: string) => {
      reject(new NoAnswer(code, false))
      session.destroy()
    }
    const patience = clock.after(CONNECT_MS, () => refuse('TIMEOUT'))
    session.on('error', ({ code }: NodeJS.ErrnoException) => refuse(code ?? 'ERROR'))
    session.on('remoteSettings', ({ maxConcurrentStreams = MAX_STREAMS }) => {
      patience.cancel()
      line.#mostStreams = Math.min(maxConcurrentStreams, MAX_STREAMS)
      resolve(line)
      changed()
    })
    session.on('goaway', (_code, lastStream) => {
      line.#lastStream = Math.min(line.#lastStream, lastStream)
    })
    session.once('close', () => {
      patience.cancel()
      line.#pings.cancel()
      refuse('CLOSED')
      changed()
    })
    return promise
  }

  /** Whether anything can be asked, now or when there is room again. */
  get isOpen(): boolean {
    return !this.#session.closed && !this.#session.destroyed
  }

  get hasRoom(): boolean {
    return this.isOpen && this.#streams < this.#mostStreams
  }

  /** Only while there is room. `answer` rejects with `NoAnswer`. `cancel` gives the room back at once. */
  ask({ path, headers, body }: LineRequest): { answer: Promise<LineAnswer>; cancel(): void } {
    const { promise, resolve, reject } = Promise.withResolvers<LineAnswer>()
    const stream = this.#session.request({ ':method': 'POST', ':path': path, ...headers })
    this.#streams++
    stream.setEncoding('utf8')
    let answered: IncomingHttpHeaders = {}
    let text = ''
    let isAnswered = false
    stream.on('response', (given) => {
      answered = given
    })
    stream.on('data', (part: string) => {
      text += part
      if (text.length > MAX_ANSWER_BYTES) stream.close(NGHTTP2_CANCEL)
    })
    stream.on('end', () => {
      const status = Number(answered[':status'])
      isAnswered = status > 0
      if (isAnswered) resolve({ status, headers: answered, body: text })
    })
    // What is wrong is seen when it closes.
    stream.on('error', () => {})
    stream.once('close', () => {
      this.#streams--
      if (!isAnswered)
        reject(new NoAnswer(stream.rstCode === 0 ? 'CLOSED' : 'RESET', this.#mayHaveArrived(stream)))
      this.#changed()
    })
    stream.end(body)
    return { answer: promise, cancel: () => stream.close(NGHTTP2_CANCEL) }
  }

  /** Takes nothing new; what is under way has its answer first. */
  close(): void {
    this.#session.close()
  }

  /** RFC 9113 §8.7: a refused stream, and one above the last that is looked at, did nothing. */
  #mayHaveArrived({ id, rstCode }: ClientHttp2Stream): boolean {
    if (id === undefined || id > this.#lastStream) return false
    return rstCode !== NGHTTP2_REFUSED_STREAM
  }

  #ping(clock: Clock): void {
    if (!this.isOpen) return
    const patience = clock.after(PONG_MS, () => this.#session.destroy())
    const asked = this.#session.ping(() => patience.cancel())
    if (!asked) patience.cancel()
  }
}
