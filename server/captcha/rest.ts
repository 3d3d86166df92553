import { captchaRoutes } from '../../wire/rest/captcha.ts'
import { type Bound, implement } from '../../wire/route.ts'
import { type Assets, encoded } from './assets.ts'
import type { Desk, Page } from './desk.ts'
import { API_HEADERS, ASSET_HEADERS, RIDDLE_HEADERS } from './page-policy.ts'
import { partial } from './partial.ts'
import type { Riddles } from './riddles.ts'
import type { SiteVerify } from './siteverify.ts'
import type { SolutionAction } from './solution.ts'

export type CaptchaDoors = {
  readonly desk: Desk
  readonly riddles: Riddles
  readonly assets: Assets
  readonly siteVerify: SiteVerify
}

const sent = <S extends number>({ status, headers, text }: Page & { readonly status: S }) => ({
  status,
  headers,
  body: Buffer.from(text),
})

export const captchaRest = ({ desk, riddles, assets, siteVerify }: CaptchaDoors): Bound[] => {
  const page =
    (action: SolutionAction) =>
    async ({
      query,
      remoteAddress,
    }: {
      query: { with?: 'picture' | 'sound' | undefined }
      remoteAddress: string
    }) =>
      sent(await desk.page(action, query.with, remoteAddress))
  const riddle =
    (kind: 'picture' | 'sound') =>
    async (call: {
      params: { challenge: string }
      headers: { range?: string | undefined }
      remoteAddress: string
    }) =>
      partial(
        await riddles.render(kind, call.params.challenge, call.remoteAddress),
        call.headers.range,
        RIDDLE_HEADERS,
      )
  return implement(captchaRoutes, {
    registration: page('registration'),
    challenge: page('challenge'),
    registrationAtSignal: page('registration'),
    challengeAtSignal: page('challenge'),
    picture: riddle('picture'),
    sound: riddle('sound'),
    async widget({ query, remoteAddress }) {
      return sent(await desk.widget(query, remoteAddress))
    },
    async answer({ body, remoteAddress }) {
      return sent(await desk.answer(body.challenge, body.answer, remoteAddress))
    },
    async puzzle({ body, remoteAddress }) {
      const made = await desk.puzzle(body, remoteAddress)
      return made ? { status: 200, body: made } : { status: 403 }
    },
    async solve({ body, remoteAddress }) {
      const solved = await desk.solve(body.challenge, body.key, remoteAddress)
      return solved ? { status: 200, body: solved } : { status: 403 }
    },
    async asset({ params, headers }) {
      const found = assets.get(params.version, params.name)
      if (!found) return { status: 404 }
      const { bytes, headers: about } = encoded(found, headers['accept-encoding'])
      return { status: 200, body: bytes, headers: { ...ASSET_HEADERS, ...about } }
    },
    async api({ headers }) {
      const { bytes, headers: about } = encoded(assets.api, headers['accept-encoding'])
      return { status: 200, body: bytes, headers: { ...API_HEADERS, ...about } }
    },
    async verify({ body, remoteAddress }) {
      const { secret, response, solution, sitekey } = body
      const question = { secret, response: response ?? solution, sitekey, remoteAddress }
      return { status: 200, body: await siteVerify.answer(question) }
    },
  })
}
