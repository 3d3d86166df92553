// The captcha: pages that tell people from many machines, for Signal clients and for other sites.
import { join } from 'node:path'
import type { Bound } from '../../wire/route.ts'
import type { Clock } from '../kit/clock.ts'
import type { Config } from '../kit/config.ts'
import { Housekeeping } from '../kit/housekeeping.ts'
import { Limits } from '../kit/limits.ts'
import type { Random } from '../kit/random.ts'
import type { Secrets } from '../kit/secrets.ts'
import { migrate } from '../kit/sql/migrate.ts'
import type { Sql } from '../kit/sql/sql.ts'
import { Assets } from './assets.ts'
import { Challenges } from './challenges.ts'
import { Desk } from './desk.ts'
import type { CaptchaEvents } from './events.ts'
import { OwnVerifier, type Verifier } from './own-verifier.ts'
import { Pressure } from './pressure.ts'
import { ProofOfWork } from './proof-of-work.ts'
import { captchaRest } from './rest.ts'
import { Riddles } from './riddles.ts'
import type { CaptchaSettings } from './settings.ts'
import { SiteVerify } from './siteverify.ts'
import { SpentStore } from './store.ts'

export type CaptchaOptions = {
  readonly sql: Sql
  readonly clock: Clock
  readonly random: Random
  readonly secrets: Secrets
  readonly config: Pick<Config, 'captcha' | 'limits'>
  readonly settings: CaptchaSettings
  readonly events: CaptchaEvents
  readonly onBug: (error: unknown, where: string) => void
}

export type Captcha = {
  readonly rest: readonly Bound[]
  /** Judges what our own pages gave to clients. */
  readonly verifier: Verifier
  /** The database may be closed afterwards. */
  close(): Promise<void>
}

const FORGET_EVERY_MS = 600_000

export async function openCaptcha(options: CaptchaOptions): Promise<Captcha> {
  const { sql, clock, random, secrets, config, settings, events, onBug } = options
  await migrate(sql, 'captcha', join(import.meta.dirname, 'migrations'), clock.nowMs())
  const secret = secrets.captchaSecret
  const limits = new Limits({ clock, overrides: config.limits })
  const store = new SpentStore(sql)
  const work = new ProofOfWork(random, onBug)
  const { evaluations, calmPerRange, calmInAll, tokenSeconds, riddles: kinds } = config.captcha
  const pressure = new Pressure({ clock, calmPerRange, calmInAll })
  const challenges = new Challenges({
    ...{ secret, store, work, pressure, clock, random, events, evaluations },
    tokenLifetimeMs: tokenSeconds * 1000,
  })
  const { sites, foreign } = settings
  const assets = new Assets()
  const desk = new Desk({ sites, challenges, limits, assets, riddles: kinds, foreign })
  const riddles = new Riddles({ secret, challenges, limits, onBug })
  const siteVerify = new SiteVerify(sites, challenges, limits)
  const housekeeping = new Housekeeping(clock, onBug)
  housekeeping.every(FORGET_EVERY_MS, 'captcha.forget', () => store.forget(clock.nowMs()))
  return {
    rest: captchaRest({ desk, riddles, assets, siteVerify }),
    verifier: new OwnVerifier(challenges, sites.own.key),
    async close() {
      await housekeeping.close()
      await work.close()
      await riddles.close()
    },
  }
}
