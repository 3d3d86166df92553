import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tupleHash256 } from './tuple-hash.ts'

const hex = (text: string) => Buffer.from(text, 'hex')
const [three, six, nine] = [hex('000102'), hex('101112131415'), hex('202122232425262728')]
const hash = async (elements: readonly Uint8Array[], customization: string) =>
  Buffer.from((await tupleHash256(elements, customization, 64))!).toString('hex')

test("NIST's three samples of TupleHash256 come out as printed", async () => {
  assert.equal(
    await hash([three, six], ''),
    'cfb7058caca5e668f81a12a20a2195ce97a925f1dba3e7449a56f82201ec6073' +
      '11ac2696b1ab5ea2352df1423bde7bd4bb78c9aed1a853c78672f9eb23bbe194',
  )
  assert.equal(
    await hash([three, six], 'My Tuple App'),
    '147c2191d5ed7efd98dbd96d7ab5a11692576f5fe2a5065f3e33de6bba9f3aa1' +
      'c4e9a068a289c61c95aab30aee1e410b0b607de3620e24a4e3bf9852a1d4367e',
  )
  assert.equal(
    await hash([three, six, nine], 'My Tuple App'),
    '45000be63f9b6bfd89f54717670f69a9bc763591a4f05c50d68891a744bcc6e7' +
      'd6d5b5e82c018da999ed35b0bb49c9678e526abd8e85c13ed254021db9e790ce',
  )
})

test('a byte that moves to the neighbour makes another hash', async () => {
  assert.notEqual(await hash([hex('00'), hex('0102')], ''), await hash([hex('0001'), hex('02')], ''))
  assert.notEqual(await hash([three, hex('')], ''), await hash([three], ''))
  assert.notEqual(await hash([Buffer.alloc(300)], ''), await hash([Buffer.alloc(299)], ''))
})
