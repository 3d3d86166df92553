// What an invite's link shows: HTML without scripts, pictures or anything from elsewhere.
import { createHash } from 'node:crypto'
import { groupedCode, type InviteCode } from './invite-code.ts'

/** What a page tells of the server. */
export type ServerAddress = {
  readonly url: string
  /** SHA-256 of the authority's certificate. */
  readonly fingerprint: string
}

const STYLE = `
:root { color-scheme: light dark }
body { font: 1.05rem/1.5 system-ui, sans-serif; max-width: 36rem; margin: 2rem auto; padding: 0 1rem }
code { overflow-wrap: anywhere }
dt { font-weight: 600; margin-top: .75rem }
dd { margin: 0 }
input, button { font: inherit; padding: .5rem; max-width: 100%; box-sizing: border-box }
.digits { font-size: 2.2rem; letter-spacing: .15em; font-weight: 600 }
.wrong { border-left: .3rem solid #b3261e; padding-left: .75rem }
`
const styleHash = createHash('sha256').update(STYLE).digest('base64')

/** For each answer of the page: nobody may keep it, frame it, or learn from where somebody came. */
export const PAGE_HEADERS = {
  'Content-Security-Policy': `default-src 'none'; style-src 'sha256-${styleHash}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
  'Cache-Control': 'no-store',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'X-Robots-Tag': 'noindex, nofollow',
} as const

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}
const escaped = (text: string): string => text.replaceAll(/[&<>"']/g, (letter) => ENTITIES[letter]!)

const page = (title: string, body: string): Uint8Array =>
  Buffer.from(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>${title}</h1>
${body}
</main>
</body>
</html>
`)

const about = ({ url, fingerprint }: ServerAddress, code: InviteCode) => `<dl>
<dt>Server</dt><dd><code>${escaped(url)}</code></dd>
<dt>SHA-256 fingerprint of its authority</dt><dd><code>${escaped(fingerprint)}</code></dd>
<dt>Your invite</dt><dd><code>${groupedCode(code)}</code></dd>
</dl>
<p>Compare the fingerprint with what the person who invited you has. The invite is yours alone: whoever has it can come in
with it.</p>`

const form = (code: InviteCode, wrong: string | undefined) => `<h2>With a phone number</h2>
<p>Type the number that you will register in the app. You get six digits here, which the app then asks for: no message is
sent.</p>
${wrong === undefined ? '' : `<p class="wrong" role="alert" id="wrong">${wrong}</p>`}
<form method="post" action="/invite/${code.text}">
<p><label for="number">Phone number, with + and the country code</label><br>
<input id="number" name="number" type="tel" autocomplete="tel" required${wrong === undefined ? '' : ' aria-describedby="wrong"'}></p>
<p><button>Get six digits</button></p>
</form>
<p>Who has an account with that number already needs no invite: its code comes as it always did.</p>
<h2>Without a phone number</h2>
<p>An app that can do so asks for the invite itself.</p>`

export const invitePage = (server: ServerAddress, code: InviteCode, wrong?: string): Uint8Array =>
  page('You are invited', `${about(server, code)}\n${form(code, wrong)}`)

export const digitsPage = (server: ServerAddress, number: string, digits: string): Uint8Array =>
  page(
    'Your six digits',
    `<p class="digits">${digits}</p>
<ol>
<li>Register <strong>${escaped(number)}</strong> in an app that is set to <code>${escaped(server.url)}</code>.</li>
<li>When it asks for the code that was sent, type these six digits. Nothing is sent to your phone.</li>
</ol>
<p>They are good for half an hour, for this number, and for five tries. Go back for others.</p>`,
  )

export const NO_INVITE: Uint8Array = page(
  'This invite is not good',
  '<p>It may be used up, over, or taken back. Ask the person who sent it for another.</p>',
)
