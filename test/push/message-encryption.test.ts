import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decrypt } from './message-encryption.ts'

const bytes = (text: string) => Buffer.from(text, 'base64url')

test('the example of RFC 8291 §5 is read', () => {
  const body = bytes(
    'DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN',
  )
  const receiver = {
    privateKey: bytes('q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94'),
    auth: bytes('BTBZMqHH6r4Tts7J_aSIgg'),
  }
  assert.equal(decrypt(body, receiver).toString(), 'When I grow up, I want to be a watermelon')
  const broken = Buffer.from(body)
  broken[body.length - 1]! ^= 1
  assert.throws(() => decrypt(broken, receiver))
})
