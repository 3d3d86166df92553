// The wires of a load job: who is connected, and what each pair says and hears.
import { randomBytes } from 'node:crypto'
import type { Account, LoadJob } from '../job.ts'
import { type Connection, connect, inParallel } from './connect.ts'
import { CallTemplate, call, callHeaders } from './grpc.ts'
import type { Meter } from './meter.ts'
import { Pair } from './pair.ts'
import { readFrame, SendTemplate } from './signal-frames.ts'
import { readThinFrame, ThinTemplate } from './thin-frames.ts'

export class Line {
  readonly pairs: readonly Pair[]
  private readonly job: LoadJob
  private readonly timestampsFrom = Date.now()
  private recipients: Connection[] = []
  private leaving = false

  constructor(job: LoadJob, meter: Meter) {
    this.job = job
    this.pairs = job.pairs.map((_, index) => new Pair(index, meter))
  }

  async connectSenders(): Promise<void> {
    await inParallel(this.pairs, async (pair) => {
      const { sender } = this.job.pairs[pair.index]!
      const connection = await this.connect(pair, this.job.mode === 'sealed' ? undefined : sender)
      pair.submit = this.submitter(pair, connection)
    })
  }

  async connectRecipients(): Promise<void> {
    this.leaving = false
    this.recipients = await inParallel(this.pairs, (pair) =>
      this.connect(pair, this.job.pairs[pair.index]!.recipient),
    )
  }

  async disconnectRecipients(): Promise<void> {
    this.leaving = true
    await Promise.all(this.recipients.map((connection) => connection.close()))
  }

  private async connect(pair: Pair, account: Account | undefined): Promise<Connection> {
    const { target, transport } = this.job
    const connection = await connect(target, transport === 'h1' ? 'h1' : 'h2', account)
    const { socket } = connection
    const read = target.frames === 'thin' ? readThinFrame : readFrame
    socket.onClose = (reason) => this.leaving || pair.meter.complain(reason)
    socket.listen((payload) => {
      const answer = read(payload, pair)
      if (answer) socket.send(answer)
    })
    return connection
  }

  private submitter(pair: Pair, { socket, session }: Connection): (sequence: number) => void {
    const { target, transport, mode, pairs, payloadBytes } = this.job
    const { sender, recipient } = pairs[pair.index]!
    const content = randomBytes(payloadBytes)
    // The client's timestamp has to differ between the messages of a sender.
    const timestampMs = (sequence: number) => this.timestampsFrom + sequence
    if (target.frames === 'thin') {
      const template = new ThinTemplate(recipient, content)
      return (sequence) => socket.send(template.fill(pair.index, sequence))
    }
    if (transport === 'grpc') {
      const template = new CallTemplate(recipient, mode, content)
      const headers = callHeaders(mode, sender)
      return (sequence) =>
        call(session!, headers, template.fill(pair.index, sequence, timestampMs(sequence)), (status) =>
          pair.accepted(sequence, status),
        )
    }
    const template = new SendTemplate(recipient, mode, content)
    return (sequence) => socket.send(template.fill(pair.index, sequence, timestampMs(sequence)))
  }
}
