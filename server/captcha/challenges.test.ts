import assert from 'node:assert/strict'
import {
  HERE,
  openChallenges,
  pictureOf,
  SECRET,
  TOKEN_LIFETIME_MS,
  tokenFrom,
} from '../../test/captcha/rules.ts'
import { solvePuzzle } from '../../test/captcha/solver.ts'
import { forEachEngine } from '../../test/engines.ts'

const OWN = { site: 'own', action: 'registration' }

forEachEngine('a right answer gives a token that is good once, and no second token', async (open, t) => {
  const rules = await openChallenges(open, t)
  const { challenges } = rules
  const { challenge, answer } = pictureOf(rules)
  const first = await challenges.answer(challenge, answer, HERE)
  assert.equal(first.kind, 'right')
  assert.equal((await challenges.answer(challenge, answer, HERE)).kind, 'wrong')
  const looked = await challenges.redeem('own', first.kind === 'right' ? first.token : '')
  assert.deepEqual(looked.kind === 'good' && [looked.token.site, looked.token.action], [
    'own',
    'registration',
  ])
  assert.equal(
    (await challenges.redeem('own', first.kind === 'right' ? first.token : '')).kind,
    'expired-or-spent',
  )
})

forEachEngine('a picture is used up by a wrong answer', async (open, t) => {
  const rules = await openChallenges(open, t)
  const { challenge, answer } = pictureOf(rules)
  const wrong = answer === 'AAAAAA' ? 'CCCCCC' : 'AAAAAA'
  assert.equal((await rules.challenges.answer(challenge, wrong, HERE)).kind, 'wrong')
  assert.equal((await rules.challenges.answer(challenge, answer, HERE)).kind, 'wrong')
})

forEachEngine('what was used stays so for other processes and after a restart', async (open, t) => {
  const rules = await openChallenges(open, t)
  const { challenge, answer } = pictureOf(rules)
  const token = await tokenFrom(rules)
  await rules.challenges.answer(challenge, answer, HERE)
  await rules.challenges.redeem('own', token)
  const later = rules.over(rules.sql).challenges
  assert.equal((await later.answer(challenge, answer, HERE)).kind, 'wrong')
  assert.equal((await later.redeem('own', token)).kind, 'expired-or-spent')
})

forEachEngine('of many that answer or look at once, one has it', async (open, t) => {
  const rules = await openChallenges(open, t)
  const { challenge, answer } = pictureOf(rules)
  const processes = [rules.challenges, rules.over(rules.sql).challenges]
  const many = Array.from({ length: 20 }, (_, i) => processes[i % 2]!)
  const answers = await Promise.all(many.map((one) => one.answer(challenge, answer, HERE)))
  const right = answers.filter(({ kind }) => kind === 'right')
  assert.equal(right.length, 1)
  const token = right[0]!.kind === 'right' ? right[0]!.token : ''
  const looks = await Promise.all(many.map((one) => one.redeem('own', token)))
  assert.equal(looks.filter(({ kind }) => kind === 'good').length, 1)
})

forEachEngine('challenges last ten minutes, tokens as long as was said', async (open, t) => {
  const rules = await openChallenges(open, t)
  const { challenges, clock } = rules
  const early = pictureOf(rules)
  const late = pictureOf(rules)
  clock.advance(599_999)
  assert.equal((await challenges.answer(early.challenge, early.answer, HERE)).kind, 'right')
  const [token, other] = [await tokenFrom(rules), await tokenFrom(rules)]
  clock.advance(1)
  assert.equal(challenges.riddleOf('picture', late.challenge), undefined)
  assert.equal((await challenges.answer(late.challenge, late.answer, HERE)).kind, 'wrong')
  clock.advance(TOKEN_LIFETIME_MS - 2)
  assert.equal((await challenges.redeem('own', token)).kind, 'good')
  clock.advance(1)
  assert.equal((await challenges.redeem('own', other)).kind, 'expired-or-spent')
})

forEachEngine('what was used is forgotten after it would have ended, and not before', async (open, t) => {
  const rules = await openChallenges(open, t)
  const { clock, store, sql } = rules
  await rules.challenges.redeem('own', await tokenFrom(rules))
  const rows = async () => (await sql.read('SELECT 1 AS one FROM captcha_spent')).length
  clock.advance(TOKEN_LIFETIME_MS + 3_599_000)
  await store.forget(clock.nowMs())
  assert.equal(await rows(), 2, 'a challenge and its token')
  clock.advance(600_000)
  await store.forget(clock.nowMs())
  assert.equal(await rows(), 0)
})

forEachEngine('a token is nothing to another site, and stays good for its own', async (open, t) => {
  const rules = await openChallenges(open, t)
  const token = await tokenFrom(rules, 'login', 'website')
  assert.equal((await rules.challenges.redeem('own', token)).kind, 'none')
  assert.equal((await rules.challenges.redeem('website', token)).kind, 'good')
})

forEachEngine(
  'a token is no challenge, a challenge no token, and neither is known with another secret',
  async (open, t) => {
    const rules = await openChallenges(open, t)
    const { challenges } = rules
    const token = await tokenFrom(rules)
    const { challenge, answer } = pictureOf(rules)
    assert.equal((await challenges.redeem('own', challenge)).kind, 'none')
    assert.equal((await challenges.answer(token, answer, HERE)).kind, 'none')
    const elsewhere = rules.over(rules.sql, Buffer.from(SECRET).fill(8)).challenges
    assert.equal((await elsewhere.redeem('own', token)).kind, 'none')
    assert.equal((await elsewhere.answer(challenge, answer, HERE)).kind, 'none')
  },
)

forEachEngine(
  'a sealed text that was changed, cut, lengthened or spliced with another is none',
  async (open, t) => {
    const rules = await openChallenges(open, t)
    const [one, other] = [pictureOf(rules), pictureOf(rules, 'challenge')]
    const [a, b] = [one, other].map(({ challenge }) => Buffer.from(challenge, 'base64url'))
    const changed = Array.from({ length: a!.length }, (_, i) => {
      const copy = Buffer.from(a!)
      copy[i]! ^= 1
      return copy
    })
    const cut = [12, 28, 29, a!.length - 16, a!.length - 1].flatMap((size) => [
      a!.subarray(0, size),
      Buffer.concat([a!.subarray(0, size), b!.subarray(size)]),
    ])
    const others = [Buffer.concat([a!, b!]), Buffer.concat([a!, Buffer.from([0])])]
    for (const bytes of [...changed, ...cut, ...others]) {
      const answered = await rules.challenges.answer(bytes.toString('base64url'), one.answer, HERE)
      assert.equal(answered.kind, 'none')
    }
    for (const text of ['', '.', `${one.challenge}.`, `${one.challenge}=`, '\0', 'é'.repeat(50)])
      assert.equal((await rules.challenges.answer(text, one.answer, HERE)).kind, 'none')
    assert.equal((await rules.challenges.answer(one.challenge, one.answer, HERE)).kind, 'right')
  },
)

forEachEngine('answers are read as people type them: in either case, with spaces', async (open, t) => {
  const rules = await openChallenges(open, t)
  const { challenge, answer } = pictureOf(rules)
  const typed = ` ${answer.slice(0, 3).toLowerCase()} ${answer.slice(3)}\n`
  assert.equal((await rules.challenges.answer(challenge, typed, HERE)).kind, 'right')
})

forEachEngine('work that is done gives a token; work on an easier puzzle gives none', async (open, t) => {
  const { challenges } = await openChallenges(open, t)
  const { challenge, puzzle } = await challenges.puzzle(OWN, HERE)
  const easier = await solvePuzzle({ ...puzzle, memoryKiB: 8 })
  assert.equal(easier, undefined, 'no counter fits')
  for (const memoryKiB of [8, 1024]) {
    const made = await challenges.puzzle(OWN, HERE)
    const key = await solvePuzzle({ ...made.puzzle, memoryKiB, target: '' })
    assert.equal((await challenges.answer(made.challenge, key!, HERE)).kind, 'wrong')
  }
  const key = await solvePuzzle(puzzle)
  const answered = await challenges.answer(challenge, key!, HERE)
  assert.deepEqual(answered.kind === 'right' && answered.purpose, OWN)
})

forEachEngine('the target alone, or the answer to another puzzle, is no answer', async (open, t) => {
  const { challenges } = await openChallenges(open, t)
  const [one, other] = [await challenges.puzzle(OWN, HERE), await challenges.puzzle(OWN, HERE)]
  const begins = Buffer.concat([Buffer.from(one.puzzle.target, 'base64url'), Buffer.alloc(20)])
  assert.equal((await challenges.answer(one.challenge, begins.toString('base64url'), HERE)).kind, 'wrong')
  const key = await solvePuzzle(one.puzzle)
  assert.equal((await challenges.answer(other.challenge, key!, HERE)).kind, 'wrong')
})

forEachEngine(
  'the work doubles where many ask, and where answers are wrong, up to 16 times',
  async (open, t) => {
    const rules = await openChallenges(open, t)
    const { challenges, clock, counters } = rules
    const count = async (address: string) => (await challenges.puzzle(OWN, address)).puzzle.count
    assert.deepEqual([await count(HERE), await count('192.0.2.99'), await count(HERE)], [4, 4, 4])
    assert.equal(await count('192.0.2.77'), 8, 'of the same range')
    assert.equal(await count('198.51.100.1'), 4)
    for (let i = 0; i < 30; i++) await challenges.answer('junk', 'x', HERE)
    assert.equal(await count(HERE), 64)
    assert.ok(counters.snapshot()['captcha.asked.harder']! >= 2)
    clock.advance(12 * 3_600_000)
    assert.equal(await count(HERE), 4)
  },
)
