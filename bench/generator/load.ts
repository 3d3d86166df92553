// Runs the phases of a load job, and reads the server's CPU around each.
import { setTimeout as sleep } from 'node:timers/promises'
import type { LoadJob, LoadResult, Phase, PhaseResult } from '../job.ts'
import { coreBusySeconds, cpuSeconds, rssKib } from '../proc.ts'
import { Askers } from './askers.ts'
import { Line } from './line.ts'
import { Meter } from './meter.ts'
import { StorageClient } from './storage.ts'

/** Until the server has deleted what was acknowledged last, so that its CPU is counted. */
const SETTLE_MS = 250
const GIVE_UP_AFTER_MS = 10_000
const MAX_UNDER_WAY = 20_000

export async function runLoad(job: LoadJob): Promise<LoadResult> {
  const load = new Load(job)
  await load.connect()
  const phases: PhaseResult[] = []
  for (const phase of job.phases) phases.push(await load.run(phase))
  return { kind: 'load', phases, rssMiB: rssKib(job.target.pid) / 1024 }
}

class Load {
  private readonly job: LoadJob
  private readonly line: Line
  private meter = new Meter()
  /** Lost for good in earlier phases. */
  private lost = 0
  /** What `store` left for `drain`. */
  private waiting = 0
  private bestPerSecond = 0
  private askers: Askers | undefined

  constructor(job: LoadJob) {
    this.job = job
    this.line = new Line(job, this.meter)
  }

  async connect(): Promise<void> {
    await this.line.connectRecipients()
    await this.line.connectSenders()
    if (this.job.askers) this.askers = await Askers.connect(this.job.target, this.job.askers)
  }

  async run(phase: Phase): Promise<PhaseResult> {
    if (phase.kind === 'store') await this.line.disconnectRecipients()
    this.meter = new Meter()
    for (const pair of this.line.pairs) {
      pair.meter = this.meter
      pair.recipientIsThere = phase.kind !== 'store' && phase.kind !== 'drain'
    }
    const beside = await this.besideIn(phase)
    await sleep(SETTLE_MS)
    const before = this.reading()
    const asking = phase.kind === 'rate' && phase.askers ? this.askers : undefined
    asking?.start()
    beside?.start()
    const perSecondAsked = await this.perform(phase)
    await this.quiet(phase)
    const seconds = (this.meter.lastAtMs - before.atMs) / 1000
    await sleep(SETTLE_MS)
    const result = this.result(phase, before, seconds)
    if (phase.kind === 'online') this.bestPerSecond = result.perSecond
    const bursts = await asking?.stop()
    const done = await beside?.stop()
    beside?.close()
    return {
      ...result,
      ...(perSecondAsked && { perSecondAsked }),
      ...(bursts && { bursts }),
      ...(done && { beside: done }),
    }
  }

  private async besideIn(phase: Phase): Promise<StorageClient | undefined> {
    const { storage } = this.job
    const task = phase.kind === 'rate' && storage?.tasks.find(({ name }) => name === phase.beside)
    return task ? StorageClient.open(storage!, task) : undefined
  }

  private async perform(phase: Phase): Promise<number | undefined> {
    if (phase.kind === 'drain') {
      await this.line.connectRecipients()
      return undefined
    }
    if (phase.kind !== 'rate') {
      await this.keepFull(phase.seconds)
      return undefined
    }
    const perSecond = phase.perSecond ?? Math.round(this.bestPerSecond / 2)
    await this.keepRate(perSecond, phase.seconds)
    return perSecond
  }

  /** Closed loop: whatever is done makes room for the next. */
  private async keepFull(seconds: number): Promise<void> {
    const { pairs } = this.line
    for (const pair of pairs) pair.onDone = (done) => done.mayStart && done.start(performance.now())
    for (const pair of pairs) for (let n = 0; n < this.job.window; n++) pair.start(performance.now())
    await sleep(seconds * 1000)
    for (const pair of pairs) pair.onDone = () => {}
  }

  /**
   * Open loop: message k is due at k/rate and its time counts from then, however late it leaves, so that a stall of the
   * server or of this process shows in the percentiles (no coordinated omission).
   */
  private async keepRate(perSecond: number, seconds: number): Promise<void> {
    const { pairs } = this.line
    const total = Math.round(perSecond * seconds)
    const startMs = performance.now()
    for (let sent = 0; sent < total; await sleep(1)) {
      const due = Math.min(total, Math.floor(((performance.now() - startMs) * perSecond) / 1000))
      for (; sent < due; sent++) pairs[sent % pairs.length]!.start(startMs + (sent * 1000) / perSecond)
      if (this.meter.underWay > MAX_UNDER_WAY) {
        this.meter.complain(`could not keep up with ${perSecond}/s`)
        return
      }
    }
  }

  /** Waits until everything has arrived, or nothing has for long. */
  private async quiet(phase: Phase): Promise<void> {
    const startMs = performance.now()
    let progressAtMs = startMs
    while (!this.isDone(phase) && performance.now() - progressAtMs < GIVE_UP_AFTER_MS) {
      await sleep(5)
      progressAtMs = Math.max(startMs, this.meter.lastAtMs)
    }
    if (!this.isDone(phase)) this.meter.complain('gave up waiting')
  }

  private isDone(phase: Phase): boolean {
    const { underWay, received } = this.meter
    const arrived = phase.kind === 'drain' ? received >= this.waiting : underWay === 0
    return arrived && this.receiptsMissing(phase) <= 0
  }

  private receiptsMissing(phase: Phase): number {
    const { target, mode } = this.job
    if (!target.receipts || mode === 'sealed' || phase.kind === 'store') return 0
    return this.meter.received - this.meter.receipts
  }

  /** What was accepted in this phase or before it and has not been received, less what was already lost. */
  private missing(): number {
    return this.line.pairs.reduce((sum, pair) => sum + pair.missing(), 0) - this.lost
  }

  private reading() {
    const { pid, core } = this.job.target
    const server = cpuSeconds(pid)
    const others = core === undefined ? 0 : coreBusySeconds(core) - server
    return { atMs: performance.now(), server, others, own: process.cpuUsage() }
  }

  private result(phase: Phase, before: ReturnType<Load['reading']>, seconds: number): PhaseResult {
    const { meter } = this
    const after = this.reading()
    const cpu = after.server - before.server
    const own = process.cpuUsage(before.own)
    const messages = phase.kind === 'store' ? meter.accepted : meter.received
    const lost = phase.kind === 'store' ? 0 : this.missing()
    this.lost += lost
    this.waiting = this.missing()
    return {
      phase: phase.kind,
      messages,
      seconds,
      perSecond: messages / seconds,
      cpuSecondsPer1000: (cpu / messages) * 1000,
      serverCpuShare: cpu / seconds,
      generatorCpuShare: (own.user + own.system) / 1e6 / seconds,
      othersCpuShare: ((after.others - before.others) * 1000) / (after.atMs - before.atMs),
      ackMs: meter.ackMs.percentiles(),
      endToEndMs: meter.endToEndMs.percentiles(),
      lost,
      duplicates: meter.duplicates,
      refused: meter.refused,
      receipts: meter.receipts,
      receiptsMissing: Math.max(0, this.receiptsMissing(phase)),
      ...(meter.complaint && { complaint: meter.complaint }),
    }
  }
}
