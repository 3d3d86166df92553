// What a delivery needs of whoever reads a queue: a websocket, or a gRPC stream.

/** Why a reader has to go: another came, the device has to prove itself again, or the server can't read the queue. */
export type Farewell = 'displaced' | 'reauthenticate' | 'failed'

export type ReaderListener = {
  /** The client took a message for good, or refused it. */
  answered(id: number, accepted: boolean): void
  /** The reader can take more after it could not. */
  drained(): void
  closed(): void
}

export interface Reader {
  /** Still there, and takes bytes as fast as it is sent them. */
  readonly isReady: boolean
  listen(listener: ReaderListener): void
  /** Hands a message over; `answered` tells what became of it. Every id is larger than the one before. */
  deliver(envelope: Uint8Array): number
  /** Says that the backlog is over. */
  endBacklog(): void
  dismiss(why: Farewell): void
}
