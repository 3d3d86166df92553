// Any history of several accounts that do things at once: a name has one owner, holds keep strangers out, links lead to
// their owner or nowhere.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { openRules } from '../../../test/chat-rules.ts'
import { forEachEngine } from '../../../test/engines.ts'
import { sampleAccount } from '../../../test/sample-account.ts'
import { nameOf } from '../../../test/username.ts'
import type { Aci, DeviceAddress } from '../../../wire/types.ts'
import { Refusal } from '../../kit/refusal.ts'

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 40)
const DAY_MS = 86_400_000
const HELD_MS = 7 * DAY_MS
const RECLAIMABLE_MS = 3 * DAY_MS
const NAMES = ['ada', 'boris', 'carla', 'dora'].map((nickname) => nameOf(nickname))
const PEOPLE = 3

type Step =
  | { readonly kind: 'reserve' | 'confirm' | 'take'; readonly who: number; readonly name: number }
  | { readonly kind: 'delete' | 'link' | 'relink' | 'unlink' | 'register' | 'leave'; readonly who: number }

const who = fc.nat(PEOPLE - 1)
const name = fc.nat(NAMES.length - 1)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constantFrom('reserve', 'confirm', 'take', 'take'), who, name }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constantFrom('delete', 'link', 'relink', 'unlink', 'register'), who }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('leave'), who }) },
)
/** What happens at once, and the time that passes then. */
const turn = fc.record({
  steps: fc.array(step, { minLength: 3, maxLength: 6 }),
  thenMs: fc.constantFrom(0, 60_000, 5 * 60_000, 5 * 60_000, 5 * 60_000, DAY_MS, HELD_MS),
})

/** How many names one person may have gained, and lost again, within a turn. */
const takes = (steps: readonly Step[], person: number): number =>
  steps.filter((one) => 'name' in one && one.kind !== 'reserve' && one.who === person).length

type Limits = Parameters<typeof openRules>[1]
const UNLIMITED: Limits = {
  limits: {
    usernameReserve: { bucket: 1e9 },
    usernameSet: { bucket: 1e9 },
    usernameLinkOperation: { bucket: 1e9 },
    usernameLookup: { bucket: 1e9 },
    usernameLinkLookupPerIp: { bucket: 1e9 },
  },
}

forEachEngine(
  'whatever several accounts do at once, a name has one owner, and what is held is kept from others',
  async (engine, t) => {
    const { usernames, accounts, clock, sql } = await openRules(t, { ...UNLIMITED, engine })

    /** One history of people of its own. */
    async function live(turns: readonly { steps: readonly Step[]; thenMs: number }[]): Promise<void> {
      const people = await Promise.all(Array.from({ length: PEOPLE }, join))
      /** Who had a name, in the order in which they lost it, and until when nobody else may have it. */
      const kept: { name: number; aci: Aci; untilMs: number }[] = []
      const handles = new Set<string>()
      let before = await owners()
      for (const { steps, thenMs } of turns) {
        const acis = people.map(({ aci }) => aci)
        const strangers = await Promise.all(steps.map((one) => act(people, one)))
        for (const handle of strangers.flat()) handles.add(handle)
        const now = await owners()
        keepsHold(before, now, kept, acis)
        await consistent(people, now, handles)
        note(
          before,
          now,
          kept,
          people.filter((_, index) => takes(steps, index) <= 2),
        )
        before = now
        clock.advance(thenMs)
      }
      for (const { aci } of people) await accounts.delete(aci)
      assert.deepEqual(await sql.read('SELECT * FROM username_claims'), [])
      assert.deepEqual(await sql.read('SELECT * FROM username_links'), [])
    }

    async function join(): Promise<DeviceAddress> {
      const account = sampleAccount()
      assert.ok(await accounts.put(account, []))
      return { aci: account.aci, deviceId: 1 }
    }

    /** Owner of each name as a stranger finds it. */
    const owners = (): Promise<(Aci | undefined)[]> =>
      Promise.all(NAMES.map(({ hash }) => usernames.ownerOf(hash, 'address')))

    /** Does one thing; gives the handles of links that came of it. Only what the contract allows may be refused. */
    async function act(people: DeviceAddress[], one: Step): Promise<string[]> {
      const caller = people[one.who]!
      try {
        return await perform(people, caller, one)
      } catch (error) {
        // Somebody else's step deleted the account first.
        if (error instanceof Refusal && error.kind === 'invalid-credentials') return []
        throw error
      }
    }

    async function perform(people: DeviceAddress[], caller: DeviceAddress, one: Step): Promise<string[]> {
      switch (one.kind) {
        case 'reserve':
          await usernames.reserve(caller, [NAMES[one.name]!.hash])
          return []
        case 'take':
          await usernames.reserve(caller, [NAMES[one.name]!.hash])
          return confirm(caller, one.name)
        case 'confirm':
          return confirm(caller, one.name)
        case 'delete':
          await usernames.delete(caller)
          return []
        case 'link':
        case 'relink': {
          const linked = await usernames.setLink(caller, Buffer.from(caller.aci), one.kind === 'relink')
          return linked.kind === 'linked' ? [linked.handle] : []
        }
        case 'unlink':
          await usernames.deleteLink(caller)
          return []
        case 'register': {
          const previous = await accounts.find(caller.aci)
          if (!previous) return []
          const next = { ...previous, usernameHash: undefined, version: previous.version + 1 }
          await accounts.put(next, accounts.replacing(previous))
          return []
        }
        case 'leave':
          await accounts.delete(caller.aci)
          people[one.who] = await join()
          return []
      }
    }

    async function confirm(caller: DeviceAddress, index: number): Promise<string[]> {
      const { hash, proof } = NAMES[index]!
      const confirmed = await usernames.confirm(caller, hash, proof, Buffer.from(caller.aci))
      return confirmed.kind === 'confirmed' && confirmed.handle ? [confirmed.handle] : []
    }

    /** What accounts say of themselves is what strangers find, and there is nothing else. */
    async function consistent(
      people: readonly DeviceAddress[],
      now: readonly (Aci | undefined)[],
      handles: ReadonlySet<string>,
    ): Promise<void> {
      const living = await Promise.all(people.map(({ aci }) => accounts.find(aci)))
      const claimed = NAMES.map(({ hash }) =>
        living.filter((one) => one?.usernameHash && Buffer.compare(one.usernameHash, hash) === 0),
      )
      assert.deepEqual(
        claimed.map((by) => by.map((one) => one!.aci)),
        now.map((owner) => (owner ? [owner] : [])),
      )
      for (const handle of handles) {
        const ciphertext = await usernames.linked(handle, 'address')
        const owner = living.find((one) => one?.usernameLinkHandle === handle && one.usernameHash)
        assert.equal(ciphertext?.toString(), owner?.aci)
      }
    }

    function keepsHold(
      before: readonly (Aci | undefined)[],
      now: readonly (Aci | undefined)[],
      kept: readonly { name: number; aci: Aci; untilMs: number }[],
      acis: readonly Aci[],
    ): void {
      for (const [index, owner] of now.entries()) {
        const holder = kept.findLast((one) => one.name === index)
        const held = holder && holder.untilMs > clock.nowMs() && acis.includes(holder.aci)
        if (owner && held && owner !== before[index])
          assert.equal(owner, holder.aci, 'a stranger got a held name')
      }
    }

    /** A name that changed from somebody to nobody is kept for a week, or three days; more than three push the oldest out. */
    function note(
      before: readonly (Aci | undefined)[],
      now: readonly (Aci | undefined)[],
      kept: { name: number; aci: Aci; untilMs: number }[],
      people: readonly DeviceAddress[],
    ): void {
      for (const [index, aci] of before.entries()) {
        if (aci === undefined || now[index] === aci || !people.some((one) => one.aci === aci)) continue
        kept.push({ name: index, aci, untilMs: clock.nowMs() + RECLAIMABLE_MS })
      }
      for (const { aci } of people) {
        const own = kept.filter((one) => one.aci === aci && one.untilMs > clock.nowMs())
        // One turn may push out several: only the last is certain to be kept.
        for (const old of own.slice(0, -1)) kept.splice(kept.indexOf(old), 1)
      }
    }

    await fc.assert(fc.asyncProperty(fc.array(turn, { minLength: 6, maxLength: 16 }), live), {
      numRuns: sql.engine === 'sqlite' ? RUNS : Math.ceil(RUNS / 8),
    })
  },
)
