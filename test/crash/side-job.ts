import type { Https } from '../client/https.ts'
import type { ServerProcess } from '../server-process.ts'

/** What a job has of one life of the server. */
export type Desk = {
  readonly server: ServerProcess
  /** Rejects when the server is gone. */
  readonly call: Https['call']
  readonly isOver: () => boolean
  /** Called right before a request that changes much: a good moment to die. */
  readonly ripe: () => void
}

/** Work beside the messages, cut off by the kill. What it finds wrong goes to `complain`. */
export type SideJob = {
  run(desk: Desk): Promise<void>
}

export type Complain = (words: string) => void
