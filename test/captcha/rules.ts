// The captcha's rules over a real store, on a clock wound by hand, without doors.
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { Challenges } from '../../server/captcha/challenges.ts'
import { captchaEvents } from '../../server/captcha/events.ts'
import { Pressure } from '../../server/captcha/pressure.ts'
import { ProofOfWork } from '../../server/captcha/proof-of-work.ts'
import { SpentStore } from '../../server/captcha/store.ts'
import { ManualClock } from '../../server/kit/clock.ts'
import { Counters } from '../../server/kit/counters.ts'
import { systemRandom } from '../../server/kit/random.ts'
import { migrate } from '../../server/kit/sql/migrate.ts'
import type { Sql } from '../../server/kit/sql/sql.ts'
import type { OpenEngine } from '../engines.ts'

const MIGRATIONS = join(import.meta.dirname, '..', '..', 'server', 'captcha', 'migrations')
export const SECRET = Buffer.alloc(32, 9)
export const HERE = '192.0.2.1'
export const TOKEN_LIFETIME_MS = 300_000

export async function openChallenges(open: OpenEngine, t: TestContext) {
  const sql = await open()
  await migrate(sql, 'captcha', MIGRATIONS, 0)
  const clock = new ManualClock()
  const counters = new Counters()
  const work = new ProofOfWork(systemRandom, (error) => {
    throw error
  })
  t.after(() => work.close())
  /** Another process, or the same after a restart. */
  const over = (database: Sql, secret = SECRET) => {
    const pressure = new Pressure({ clock, calmPerRange: 4, calmInAll: 1000 })
    const store = new SpentStore(database)
    const challenges = new Challenges({
      ...{ secret, store, work, pressure, clock, random: systemRandom, evaluations: 4 },
      events: captchaEvents(counters),
      tokenLifetimeMs: TOKEN_LIFETIME_MS,
    })
    return { challenges, store, pressure }
  }
  return { sql, clock, counters, over, ...over(sql) }
}

type Opened = Awaited<ReturnType<typeof openChallenges>>

/** A picture's challenge with its answer, which only the server can read. */
export function pictureOf({ challenges }: Pick<Opened, 'challenges'>, action = 'registration', site = 'own') {
  const challenge = challenges.riddle('picture', { site, action }, HERE)
  return { challenge, answer: challenges.riddleOf('picture', challenge)!.answer }
}

/** A token, earned. */
export async function tokenFrom(rules: Opened, action = 'registration', site = 'own'): Promise<string> {
  const { challenge, answer } = pictureOf(rules, action, site)
  const answered = await rules.challenges.answer(challenge, answer, HERE)
  if (answered.kind !== 'right') throw new Error('the right answer was not')
  return answered.token
}
