import assert from 'node:assert/strict'
import { test } from 'node:test'
import { registrationOf } from '../../../test/person.ts'
import { openRegistrar, refusedAs } from '../../../test/registrar.ts'
import { newNumber } from '../../../test/sample-account.ts'

const MIB = 1024 ** 2

test('stopped by hand, nobody new comes in and nothing is sent, until it is started again', async (t) => {
  const { rules, verified, register, person, telephone } = await openRegistrar(t)
  const { admission, verification } = rules
  const [known, fresh] = [newNumber(), newNumber()]
  const { aci } = await person(known)
  const [knownSession, freshSession] = [await verified(known), await verified(fresh)]
  const opened = await verification.open(newNumber())
  assert.ok(opened.kind === 'opened')
  const sent = telephone.codes.length
  await admission.stop()
  const held = (error: unknown) => {
    assert.ok(refusedAs('unavailable')(error))
    assert.equal((error as { detail: { retryAfterSeconds: number } }).detail.retryAfterSeconds, 3600)
    return true
  }
  for (const number of [known, newNumber()]) await assert.rejects(verification.open(number), held)
  await assert.rejects(verification.requestCode(opened.session.id, 'sms'), held)
  await assert.rejects(register(fresh, registrationOf(freshSession)), held)
  assert.equal(telephone.codes.length, sent)
  const again = await register(known, registrationOf(knownSession))
  assert.ok(again.kind === 'registered')
  assert.equal(again.account.aci, aci)
  const { heldBy, stoppedSinceMs } = await admission.status()
  assert.deepEqual([heldBy, stoppedSinceMs], ['operator', rules.clock.nowMs()])
  await admission.start()
  assert.equal((await register(fresh, registrationOf(freshSession))).kind, 'registered')
  assert.equal((await admission.status()).heldBy, undefined)
})

test('stopped twice, it is stopped since the first time, and started once', async (t) => {
  const { rules } = await openRegistrar(t)
  const sinceMs = rules.clock.nowMs()
  await rules.admission.stop()
  rules.clock.advance(1000)
  await rules.admission.stop()
  assert.equal((await rules.admission.status()).stoppedSinceMs, sinceMs)
  await rules.admission.start()
  assert.equal((await rules.admission.status()).stoppedSinceMs, undefined)
})

for (const what of ['disk', 'memory'] as const)
  test(`with too little ${what} nobody new comes in, until there is a good deal more`, async (t) => {
    let free = 100 * MIB
    const plenty = 10_000 * MIB
    const { rules, person } = await openRegistrar(t, {
      registration: { minFreeDisk: 80 * MIB, minFreeMemory: 80 * MIB },
      measureRoom: async () => ({
        diskBytes: what === 'disk' ? free : plenty,
        memoryBytes: what === 'memory' ? free : plenty,
      }),
    })
    const at = (bytes: number) => {
      free = bytes
      rules.clock.advance(5_000)
    }
    await person(newNumber())
    at(80 * MIB - 1)
    await assert.rejects(rules.verification.open(newNumber()), refusedAs('unavailable'))
    assert.equal((await rules.admission.status()).heldBy, what)
    at(99 * MIB)
    await assert.rejects(rules.verification.open(newNumber()), refusedAs('unavailable'))
    at(100 * MIB)
    await person(newNumber())
    at(80 * MIB)
    await person(newNumber())
    const { counters } = rules
    const seen = counters.snapshot()
    assert.deepEqual([seen[`registration.held.${what}`], seen['registration.released']], [1, 1])
  })

test('the host is measured every few seconds at most, and one that cannot be holds nobody', async (t) => {
  let measured = 0
  const { rules } = await openRegistrar(t, {
    measureRoom: async () => {
      measured++
      throw new Error('no such folder')
    },
  })
  for (let count = 0; count < 20; count++) await rules.admission.mayAsk()
  assert.equal(measured, 1)
  rules.clock.advance(5_000)
  await rules.admission.mayAsk()
  assert.equal(measured, 2)
})
