// What a week of group credentials for a hundred clients at once does to the messages of others: the same load without and
// with them, at the same rate.
import { join } from 'node:path'
import { registerAccounts } from './accounts.ts'
import type { LoadResult, Phase, PhaseResult } from './job.ts'
import type { Options } from './options.ts'
import { PAIRS, PAYLOAD_BYTES, RATES, WINDOW } from './plan.ts'
import { generate, startOurs } from './processes.ts'
import { milliseconds, section, warnings } from './report.ts'

export const ASKERS = 100
/** What the message path may cost in p99 while they ask. */
const BOUND = 2

export type CredentialsFigures = {
  readonly perSecond: number
  readonly without: PhaseResult
  readonly with: PhaseResult
}

export async function credentialsFigures(directory: string, options: Options): Promise<CredentialsFigures[]> {
  const server = await startOurs(join(directory, 'credentials'), options.node)
  try {
    const accounts = await registerAccounts(server.ready, 0, 2 * PAIRS + ASKERS)
    const rates = options.quick ? RATES.slice(0, 1) : RATES
    const rate = (perSecond: number, askers: boolean): Phase => ({
      kind: 'rate',
      perSecond,
      seconds: options.seconds,
      askers,
    })
    const phases = Array.from({ length: options.rounds }, () => rates)
      .flat()
      .flatMap((perSecond) => [rate(perSecond, false), rate(perSecond, true)])
    const { phases: results } = (await generate({
      kind: 'load',
      target: server.target,
      transport: options.transport ?? 'h1',
      mode: options.mode ?? 'sealed',
      pairs: Array.from({ length: PAIRS }, (_, index) => ({
        sender: accounts[index]!,
        recipient: accounts[PAIRS + index]!,
      })),
      askers: accounts.slice(2 * PAIRS),
      window: WINDOW,
      payloadBytes: PAYLOAD_BYTES,
      phases: [{ kind: 'warm-up', seconds: options.quick ? 1 : 2 }, ...phases],
    })) as LoadResult
    return pairsOf(results.slice(1))
  } finally {
    await server.stop()
  }
}

const pairsOf = (results: readonly PhaseResult[]): CredentialsFigures[] =>
  results.flatMap((without, index) =>
    index % 2 === 0 ? [{ perSecond: without.perSecondAsked!, without, with: results[index + 1]! }] : [],
  )

export function credentialsTable(figures: readonly CredentialsFigures[]): string {
  const times = ({ ackMs, endToEndMs }: PhaseResult) =>
    [ackMs.p50, ackMs.p99, endToEndMs.p50, endToEndMs.p99].map(milliseconds)
  const rows = figures.flatMap(({ perSecond, without, with: asked }) => {
    const factors = [asked.ackMs.p99 / without.ackMs.p99, asked.endToEndMs.p99 / without.endToEndMs.p99]
    const [ack, end] = factors.map((factor) => `× ${factor.toFixed(2)}`)
    const { lastedMs, weeksPerSecond, refused } = asked.bursts!
    const worst = milliseconds(Math.max(...lastedMs))
    const verdict = factors.every((factor) => factor <= BOUND) ? `within ×${BOUND}` : `MORE THAN ×${BOUND}`
    return [
      [`${perSecond}/s`, ...times(without), '–', '–', remarks(without)],
      [
        `${perSecond}/s, ${ASKERS} ask for a week`,
        ...times(asked),
        weeksPerSecond.toFixed(0),
        worst,
        remarks(asked),
      ],
      ['  p99 against without', '', ack!, '', end!, '', refused > 0 ? `refused ${refused}` : '', verdict],
    ]
  })
  const head = ['', 'ack p50', 'p99', 'end p50', 'p99', 'weeks/s', `${ASKERS} take`, '']
  return section('Messages while group credentials are issued (open loop)', [head, ...rows])
}

const remarks = (result: PhaseResult): string =>
  `server ${Math.round(result.serverCpuShare * 100)} % of a core${warnings(result)}`
