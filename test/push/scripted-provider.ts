import type { Notice } from '../../server/kit/push-gateway.ts'
import type { AddressOf, Provider, Tried } from '../../server/push/provider.ts'

/** A provider that does what the test says: `answers` first, and then that it was sent. */
export class ScriptedProvider implements Provider<'fcm'> {
  readonly service = 'fcm'
  readonly pushes: { readonly token: string; readonly notice: Notice }[] = []
  readonly answers: Tried[] = []
  closed = false

  async push({ token }: AddressOf<'fcm'>, notice: Notice): Promise<Tried> {
    this.pushes.push({ token, notice })
    return this.answers.shift() ?? { kind: 'sent' }
  }

  async close(): Promise<void> {
    this.closed = true
  }
}
