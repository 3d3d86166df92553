// In a worker: tries every so-manieth counter until a key begins as it has to.
const base = self.location.href.replace(/[^/]*$/, '')
importScripts(`${base}argon2.js`)
self.postMessage({ ready: true })

const bytesOf = (text) =>
  Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), (letter) => letter.charCodeAt(0))
const textOf = (bytes) =>
  btoa(String.fromCharCode(...bytes))
    .replace(/\+/g, '-')
    .replace(/\//g, '_')
    .replace(/=+$/, '')

function passwordOf(counter) {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, counter)
  return bytes
}

async function solve({ puzzle, first, step }) {
  const [salt, target] = [bytesOf(puzzle.salt), bytesOf(puzzle.target)]
  for (let counter = first; counter < puzzle.count; counter += step) {
    const key = await self.hashwasm.argon2id({
      password: passwordOf(counter),
      salt,
      iterations: 1,
      parallelism: 1,
      memorySize: puzzle.memoryKiB,
      hashLength: 32,
      outputType: 'binary',
    })
    self.postMessage(target.every((byte, i) => byte === key[i]) ? { key: textOf(key) } : {})
  }
}

self.onmessage = ({ data }) => solve(data).catch(() => self.postMessage({ failed: true }))
