// What mock-server's own server makes of the groups that its phones use here: a second opinion on every change.
import { createRequire } from 'node:module'
import { type MockActions, type MockGroupState, type MockModification, mock, mockZk } from './mock-server.ts'

type Bytes = Uint8Array<ArrayBuffer>
type Ciphertext = InstanceType<typeof mockZk.UuidCiphertext>

interface ServerGroup {
  readonly state: MockGroupState
  modify(aci: Ciphertext, pni: Ciphertext, actions: object): { signedChange?: { readonly actions: Bytes } }
}
type ServerGroupOptions = { profileOps: object; zkSecret: object; state: object }

const require = createRequire(import.meta.url)
const { ServerGroup }: { ServerGroup: new (options: ServerGroupOptions) => ServerGroup } =
  require('@signalapp/mock-server/src/server/group.js')

export type Opinion = { readonly actions: MockActions; readonly state: MockGroupState }

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

export class MockRules {
  readonly #secrets: InstanceType<typeof mockZk.ServerSecretParams>
  /** By their public keys. */
  readonly #groups = new Map<string, ServerGroup>()

  constructor(serverSecretParams: Bytes) {
    this.#secrets = new mockZk.ServerSecretParams(serverSecretParams)
  }

  create(state: MockGroupState): void {
    const profileOps = new mockZk.ServerZkProfileOperations(this.#secrets)
    const group = new ServerGroup({ profileOps, zkSecret: this.#secrets, state })
    this.#groups.set(hex(state.publicKey), group)
  }

  /** Throws if mock-server refuses the change. */
  modify({ group, actions, aciCiphertext, pniCiphertext }: MockModification): Opinion {
    const theirs = this.#groups.get(hex(group.state.publicKey))!
    const [aci, pni] = [aciCiphertext, pniCiphertext].map((bytes) => new mockZk.UuidCiphertext(bytes))
    const { signedChange } = theirs.modify(aci!, pni!, actions)
    if (!signedChange) throw new Error('mock-server is at another version of the group')
    return {
      actions: mock.Proto.GroupChange.Actions.decode(new Uint8Array(signedChange.actions)),
      state: mock.Proto.Group.decode(new Uint8Array(mock.Proto.Group.encode(theirs.state))),
    }
  }
}
