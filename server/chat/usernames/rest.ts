import { usernamesRoutes } from '../../../wire/rest/usernames.ts'
import { type Bound, implement } from '../../../wire/route.ts'
import type { Usernames } from './usernames.ts'

export const usernamesRest = (usernames: Usernames): Bound[] =>
  implement(usernamesRoutes, {
    async reserve({ caller, body }) {
      const reserved = await usernames.reserve(caller, body.usernameHashes)
      if (reserved.kind === 'taken') return { status: 409 }
      return { status: 200, body: { usernameHash: reserved.hash } }
    },
    async confirm({ caller, body }) {
      const ciphertext = body.encryptedUsername ?? undefined
      const confirmed = await usernames.confirm(caller, body.usernameHash, body.zkProof, ciphertext)
      if (confirmed.kind !== 'confirmed') return { status: confirmed.kind === 'lost' ? 410 : 409 }
      return {
        status: 200,
        body: { usernameHash: confirmed.hash, usernameLinkHandle: confirmed.handle ?? null },
      }
    },
    async delete({ caller }) {
      await usernames.delete(caller)
      return { status: 204 }
    },
    async lookup({ params, remoteAddress }) {
      const owner = await usernames.ownerOf(params.usernameHash, remoteAddress)
      return owner ? { status: 200, body: { uuid: owner } } : { status: 404 }
    },
    async setLink({ caller, body }) {
      const ciphertext = body.usernameLinkEncryptedValue
      const linked = await usernames.setLink(caller, ciphertext, body.keepLinkHandle ?? false)
      if (linked.kind === 'no-username') return { status: 409 }
      return { status: 200, body: { usernameLinkHandle: linked.handle } }
    },
    async deleteLink({ caller }) {
      await usernames.deleteLink(caller)
      return { status: 204 }
    },
    async lookupLink({ params, remoteAddress }) {
      const ciphertext = await usernames.linked(params.handle, remoteAddress)
      if (!ciphertext) return { status: 404 }
      return { status: 200, body: { usernameLinkEncryptedValue: ciphertext, keepLinkHandle: false } }
    },
  })
