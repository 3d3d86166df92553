import type { ProviderHealth, Push, Pushed, PushGateway } from '../server/kit/push-gateway.ts'

/** A push gateway whose providers say what the test wants: `answers` first, and then that it was sent. */
export class ScriptedGateway implements PushGateway {
  readonly pushes: Push[] = []
  readonly answers: Pushed[] = []
  /** What a push waits for before it is answered. */
  gate: Promise<unknown> = Promise.resolve()

  async push(push: Push): Promise<Pushed> {
    this.pushes.push(push)
    const answer = this.answers.shift() ?? { kind: 'sent' }
    await this.gate
    return answer
  }

  async health(): Promise<readonly ProviderHealth[]> {
    return []
  }

  /** The kinds of those that went out since it was asked last: urgent or not. */
  taken(): string[] {
    return this.pushes
      .splice(0)
      .map(({ notice }) => (notice.kind === 'message' && !notice.urgent ? 'background' : 'urgent'))
  }
}
