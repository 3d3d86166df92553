// What the pages load: read and compressed once, under an address that changes with the contents.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'

export type Asset = {
  readonly type: string
  readonly plain: Buffer
  readonly gzip: Buffer
  readonly br: Buffer
}
export type AssetName = 'page.css' | 'icon.svg' | 'page.js' | 'solver.js' | 'argon2.js' | 'api.js'

const FOLDER = join(import.meta.dirname, 'page')
const OURS: readonly AssetName[] = ['page.css', 'icon.svg', 'page.js', 'solver.js', 'api.js']
const TYPES: Readonly<Record<string, string>> = {
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
}

export class Assets {
  #loaded: ReadonlyMap<string, Asset> | undefined
  #version = ''

  /** Where the pages find their files: it names their contents. */
  get base(): string {
    this.#load()
    return `/captcha/assets/${this.#version}`
  }

  get(version: string, name: string): Asset | undefined {
    return version === this.#load() ? this.#loaded!.get(name) : undefined
  }

  /** The widget's script, which other sites name by an address that stays. */
  get api(): Asset {
    this.#load()
    return this.#loaded!.get('api.js')!
  }

  #load(): string {
    if (this.#loaded) return this.#version
    const path = (name: AssetName) => join(FOLDER, name)
    const argon2 = createRequire(import.meta.url).resolve('hash-wasm/dist/argon2.umd.min.js')
    const files: [AssetName, Buffer][] = [
      ...OURS.map((name): [AssetName, Buffer] => [name, readFileSync(path(name))]),
      ['argon2.js', readFileSync(argon2)],
    ]
    const hash = createHash('sha256')
    for (const [, bytes] of files) hash.update(bytes)
    this.#version = hash.digest('base64url').slice(0, 12)
    this.#loaded = new Map(files.map(([name, bytes]) => [name, assetOf(name, bytes)]))
    return this.#version
  }
}

const assetOf = (name: AssetName, plain: Buffer): Asset => ({
  type: TYPES[name.slice(name.indexOf('.') + 1)]!,
  plain,
  gzip: gzipSync(plain, { level: 9 }),
  br: brotliCompressSync(plain, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: plain.length } }),
})

/** Compressed as the client takes it (RFC 9110 §12.5.3). */
export function encoded(
  asset: Asset,
  accepted: string | undefined,
): { readonly bytes: Buffer; readonly headers: Readonly<Record<string, string>> } {
  const tokens = new Set((accepted ?? '').split(',').map((one) => one.trim()))
  const coding = (['br', 'gzip'] as const).find((one) => tokens.has(one))
  return {
    bytes: coding ? asset[coding] : asset.plain,
    headers: {
      'Content-Type': asset.type,
      Vary: 'Accept-Encoding',
      ...(coding && { 'Content-Encoding': coding }),
    },
  }
}
