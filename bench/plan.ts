// Which loads are run, in which order: each of ours comes right after the floor it is compared with.
import type { Mode, Phase, Transport } from './job.ts'
import type { Options } from './options.ts'

export const FLOORS = ['thin', 'frames', 'stored'] as const
export type Floor = (typeof FLOORS)[number]
export type Subject = Floor | 'ours'

export type Load = {
  readonly subject: Subject
  readonly transport: Transport
  readonly mode: Mode
  readonly phases: readonly Phase[]
}

export const PAIRS = 100
export const WINDOW = 8
export const PAYLOAD_BYTES = 818

/** Messages a second at which ours and its floor are compared alike. */
export const RATES: readonly number[] = [2000, 5000]

const load = (subject: Subject, transport: Transport, mode: Mode): Omit<Load, 'phases'> => ({
  subject,
  transport,
  mode,
})

const FULL = [
  load('thin', 'h1', 'sealed'),
  load('frames', 'h1', 'sealed'),
  ...(['h1', 'h2', 'grpc'] as const).flatMap((transport) => [
    load('stored', transport, 'sealed'),
    load('ours', transport, 'sealed'),
    load('ours', transport, 'identified'),
  ]),
]

const QUICK = [
  load('stored', 'h1', 'sealed'),
  load('ours', 'h1', 'sealed'),
  load('ours', 'h1', 'identified'),
  load('stored', 'grpc', 'sealed'),
  load('ours', 'grpc', 'sealed'),
]

export function plan(options: Options): Load[] {
  const loads = (options.quick ? QUICK : FULL)
    .filter(({ subject }) => !options.only || (subject === 'ours') === (options.only === 'ours'))
    .filter(({ transport }) => !options.transport || transport === options.transport)
    .filter(({ subject, mode }) => !options.mode || subject !== 'ours' || mode === options.mode)
    .map((item) => ({ ...item, phases: phases(item.subject, options) }))
  return Array.from({ length: options.rounds }, () => loads).flat()
}

export const profiledLoad = ({ transport, mode, seconds }: Options): Load => ({
  ...load('ours', transport ?? 'h1', mode ?? 'sealed'),
  phases: [
    { kind: 'warm-up', seconds: 2 },
    { kind: 'online', seconds },
  ],
})

function phases(subject: Subject, { quick, seconds }: Options): Phase[] {
  const comparedAtRates = subject === 'ours' || subject === 'stored'
  const half: Phase = { kind: 'rate', seconds: (seconds * 2) / 3 }
  const rates = quick ? [half] : [...RATES.map((perSecond): Phase => ({ ...half, perSecond })), half]
  return [
    { kind: 'warm-up', seconds: quick ? 1 : 2 },
    { kind: 'online', seconds },
    ...(comparedAtRates ? rates : []),
    { kind: 'store', seconds },
    { kind: 'drain' },
  ]
}
