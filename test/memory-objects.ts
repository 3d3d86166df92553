// A store of backups' objects that holds names and sizes: what the rules can see of one.
import {
  type BackupObjects,
  type CopyOutcome,
  type CopySource,
  copiedBytes,
  type Listed,
  type OuterLayer,
  type Usage,
} from '../server/kit/backup-objects.ts'

export class MemoryObjects implements BackupObjects {
  /** Attachments that can be copied, with their sizes. */
  readonly attachments = new Map<string, number>()
  /** By path. */
  readonly stored = new Map<string, number>()
  readonly layers: OuterLayer[] = []
  /** Copies under way at the same moment, at most. */
  busiest = 0
  /** Called before a copy is made. */
  beforeCopy: () => Promise<void> = async () => {}
  #busy = 0

  async copy(source: CopySource, layer: OuterLayer, path: string): Promise<CopyOutcome> {
    this.busiest = Math.max(this.busiest, ++this.#busy)
    await this.beforeCopy().finally(() => this.#busy--)
    const bytes = this.attachments.get(source.key)
    if (bytes === undefined) return { kind: 'source-not-found' }
    if (bytes !== source.bytes) return { kind: 'wrong-length' }
    const addedBytes = copiedBytes(bytes) - (this.stored.get(path) ?? 0)
    this.stored.set(path, copiedBytes(bytes))
    this.layers.push(layer)
    return { kind: 'copied', addedBytes }
  }

  async list(folder: string, cursor: string | undefined, limit: number): Promise<Listed> {
    const rest = this.#in(folder).filter(([name]) => cursor === undefined || name > cursor)
    const page = rest.slice(0, limit)
    return {
      objects: page.map(([name, bytes]) => ({ name, bytes })),
      cursor: rest.length > limit ? page.at(-1)![0] : undefined,
    }
  }

  async usage(folder: string): Promise<Usage> {
    const own = this.#in(folder)
    return { bytes: own.reduce((sum, [, bytes]) => sum + bytes, 0), objects: own.length }
  }

  async delete(path: string): Promise<number> {
    const bytes = this.stored.get(path) ?? 0
    this.stored.delete(path)
    return bytes
  }

  async deleteFolder(folder: string): Promise<void> {
    for (const path of this.stored.keys()) if (path.startsWith(`${folder}/`)) this.stored.delete(path)
  }

  #in(folder: string): [string, number][] {
    return [...this.stored]
      .filter(([path]) => path.startsWith(`${folder}/`))
      .map(([path, bytes]): [string, number] => [path.slice(folder.length + 1), bytes])
      .sort(([one], [other]) => (one < other ? -1 : 1))
  }
}
