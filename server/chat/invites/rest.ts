import { invitesRoutes } from '../../../wire/rest/invites.ts'
import { type Bound, implement } from '../../../wire/route.ts'
import { readInviteCode } from './invite-code.ts'
import type { Invites } from './invites.ts'
import { digitsPage, PAGE_HEADERS as headers, invitePage, NO_INVITE, type ServerAddress } from './page.ts'

const WRONG = {
  'no-number': 'That is no phone number. It begins with + and the country code.',
  'other-number': 'This invite is not for that number.',
} as const

export const invitesRest = (invites: Invites, server: () => ServerAddress): Bound[] =>
  implement(invitesRoutes, {
    async page({ params, remoteAddress }) {
      const invite = await invites.visit(params.code, remoteAddress)
      if (!invite) return { status: 404, headers, body: NO_INVITE }
      return { status: 200, headers, body: invitePage(server(), readInviteCode(params.code)!) }
    },
    async takeDigits({ params, body, remoteAddress }) {
      const taken = await invites.takeDigits(params.code, body['number'] ?? '', remoteAddress)
      if (taken.kind === 'no-invite') return { status: 404, headers, body: NO_INVITE }
      if (taken.kind === 'taken')
        return { status: 200, headers, body: digitsPage(server(), taken.e164, taken.digits) }
      const code = readInviteCode(params.code)!
      return { status: 403, headers, body: invitePage(server(), code, WRONG[taken.kind]) }
    },
  })
