// What the bench asks of a generator process, and what comes back.

export type Account = {
  readonly aci: string
  readonly password: string
  readonly registrationId: number
  /** base64 of 16 bytes: lets strangers send sealed messages. */
  readonly accessKey: string
}

/** `h1` and `h2`: sends inside the websocket; `grpc`: sends as unary calls beside the websocket, on its connection. */
export type Transport = 'h1' | 'h2' | 'grpc'
/** Identified sends earn a delivery receipt from the server; sealed ones come from a socket without a name. */
export type Mode = 'identified' | 'sealed'

export type Target = {
  readonly name: string
  readonly pid: number
  /** The core that it is pinned to, if it is. */
  readonly core: number | undefined
  readonly port: number
  readonly caPem: string
  readonly frames: 'thin' | 'signal'
  /** Whether it makes a delivery receipt of each identified message. */
  readonly receipts: boolean
}

export type Phase =
  /** The window is kept full for so long. */
  | { readonly kind: 'warm-up' | 'online' | 'store'; readonly seconds: number }
  /** A fixed rate; without one, half of what `online` reached. With `askers` these ask meanwhile; `beside` names a storage task. */
  | {
      readonly kind: 'rate'
      readonly seconds: number
      readonly perSecond?: number
      readonly askers?: boolean
      readonly beside?: string
    }
  /** What `store` left is fetched by recipients that connect. */
  | { readonly kind: 'drain' }

export type LoadJob = {
  readonly kind: 'load'
  readonly target: Target
  readonly transport: Transport
  readonly mode: Mode
  readonly pairs: readonly { readonly sender: Account; readonly recipient: Account }[]
  /** Who asks for credentials, in the phases that say so. */
  readonly askers?: readonly Account[]
  readonly storage?: StorageService
  /** Messages under way per sender: not both accepted and, if the recipient is there, received. */
  readonly window: number
  readonly payloadBytes: number
  readonly phases: readonly Phase[]
}

export type IdleJob = {
  readonly kind: 'idle'
  readonly target: Target
  readonly transport: 'h1' | 'h2'
  /** One authenticated connection each; with `undefined`, unauthenticated ones. */
  readonly accounts: readonly (Account | undefined)[]
  readonly settleSeconds: number
}

/** What one client does to one group or one account's records again and again; bytes are base64. */
export type StorageTask = { readonly name: string; readonly authorization: string } & (
  | { readonly kind: 'fetch' | 'title' }
  /** `others` leave and come back in turn. */
  | { readonly kind: 'membership'; readonly others: readonly Member[] }
  | { readonly kind: 'sync' | 'write' | 'read'; readonly records: number }
)
export type Member = { readonly userId: string; readonly presentation: string }
export type StorageService = {
  readonly origin: string
  readonly caPem: string
  readonly tasks: readonly StorageTask[]
}

export type StorageJob = {
  readonly kind: 'storage'
  readonly target: Target
  readonly storage: StorageService
  /** How long each task is done, alone. */
  readonly seconds: number
}

/** What every transfer of a job is. */
export type Transfer =
  /** TUS: one request creates, one sends. `data`: the folder of our server, whose secrets sign a form for each. */
  | { readonly kind: 'tus'; readonly path: string; readonly data?: string }
  /** One PUT to a new name below the path; `data` as above. */
  | { readonly kind: 'put'; readonly path: string; readonly data?: string }
  | { readonly kind: 'get'; readonly path: string }
export type FilesJob = {
  readonly kind: 'files'
  /** Their CPU and that of their children is counted. */
  readonly server: { readonly pids: readonly number[]; readonly core: number | undefined }
  /** `https:` with this certificate authority, or `http:`. */
  readonly origin: string
  readonly caPem: string | undefined
  readonly transfer: Transfer
  readonly bytes: number
  readonly atOnce: number
  readonly warmUpSeconds: number
  readonly seconds: number
}

export type Job = LoadJob | IdleJob | StorageJob | FilesJob

export type Percentiles = { readonly p50: number; readonly p99: number; readonly p999: number }

/** All askers at once, one burst after the other. */
export type Bursts = {
  readonly lastedMs: readonly number[]
  readonly weeksPerSecond: number
  readonly refused: number
}

/** One after the other. */
export type Operations = {
  readonly name: string
  readonly count: number
  readonly perSecond: number
  readonly tookMs: Percentiles
  /** The server's, children included; measured only where nothing else is done. */
  readonly cpuSecondsPer1000?: number
  readonly refused: number
}

export type PhaseResult = {
  readonly phase: Phase['kind']
  readonly perSecondAsked?: number
  readonly messages: number
  readonly seconds: number
  readonly perSecond: number
  /** The server's, children included. */
  readonly cpuSecondsPer1000: number
  readonly serverCpuShare: number
  readonly generatorCpuShare: number
  /** What others took of the server's core, when it is pinned to one. */
  readonly othersCpuShare: number
  readonly ackMs: Percentiles
  readonly endToEndMs: Percentiles
  readonly lost: number
  readonly duplicates: number
  readonly refused: number
  readonly receipts: number
  readonly receiptsMissing: number
  readonly bursts?: Bursts
  readonly beside?: Operations
  /** The first thing that went wrong, in words. */
  readonly complaint?: string
}

export type LoadResult = {
  readonly kind: 'load'
  readonly phases: readonly PhaseResult[]
  readonly rssMiB: number
}
export type IdleResult = {
  readonly kind: 'idle'
  readonly connections: number
  readonly kibPerConnection: number
  readonly cpuMsPerConnect: number
  readonly baseMiB: number
}
export type StorageResult = { readonly kind: 'storage'; readonly operations: readonly Operations[] }
export type FilesResult = {
  readonly kind: 'files'
  readonly files: number
  readonly mbPerSecond: number
  /** The server's, children included. */
  readonly cpuMsPerMb: number
  readonly serverCpuShare: number
  readonly generatorCpuShare: number
  readonly othersCpuShare: number
  readonly tookMs: Percentiles
  /** How the line was encrypted, if it was. */
  readonly cipher: string | undefined
  readonly refused: number
  readonly complaint?: string
}
export type Result = LoadResult | IdleResult | StorageResult | FilesResult
