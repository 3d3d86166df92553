// What people see: short pages that work without scripts, and say the same to eyes and to ears.
import type { Purpose } from './challenges.ts'
import { FOREIGN, type Foreign } from './foreign.ts'
import { Html, html } from './html.ts'
import { PICTURE_HEIGHT, PICTURE_WIDTH } from './picture.ts'
import { SCHEMES } from './solution.ts'

export type Riddle = 'picture' | 'sound'

/** Where a page stands, and what it is for. */
export type Frame = {
  readonly purpose: Purpose
  readonly theme?: 'light' | 'dark' | undefined
  /** Of its styles and scripts. */
  readonly assets: string
  /** The address of the page itself, as it is first. */
  readonly again: string
  readonly riddles: readonly Riddle[]
}

const isWidget = ({ purpose }: Frame) => purpose.origin !== undefined

type Data = Readonly<Record<string, string | number | undefined>>

const attributes = (data: Data): Html =>
  new Html(
    Object.entries(data)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => html` data-${new Html(name)}="${value}"`.text)
      .join(''),
  )

function page(frame: Frame, title: string, content: Html, data: Data = {}): string {
  const { purpose, theme, assets, again } = frame
  const about = { site: purpose.site, action: purpose.action, origin: purpose.origin, again, base: assets }
  const sun = isWidget(frame)
    ? undefined
    : html`<img class="sun" src="${assets}/icon.svg" width="40" height="40" alt="">`
  return html`<!doctype html>
<html lang="en"${theme ? html` data-theme="${theme}"` : undefined}>
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${title}</title>
<link rel="icon" href="${assets}/icon.svg">
<link rel="stylesheet" href="${assets}/page.css">
<script src="${assets}/page.js" defer></script>
</head>
<body class="${isWidget(frame) ? 'widget' : 'page'}">
<main${attributes({ ...about, ...data })}>${sun}
${content}
</main>
</body>
</html>
`.text
}

function withRiddle({ again }: Frame, riddle: Riddle): string {
  const mark = again.includes('?') ? '&' : '?'
  return `${again}${mark}with=${riddle}`
}

const WAYS = {
  picture: ['Read a picture instead', 'Show another picture'],
  sound: ['Hear digits instead', 'Play other digits'],
} as const
const SHORT_WAYS = {
  picture: ['Picture', 'Another picture'],
  sound: ['Digits to hear', 'Other digits'],
} as const

/** Other ways to the same end: without JavaScript there is no work to be done. */
function others(frame: Frame, shown?: Riddle): Html | undefined {
  const ways = isWidget(frame) ? SHORT_WAYS : WAYS
  const links = frame.riddles.map(
    (riddle) =>
      html`<li><a href="${withRiddle(frame, riddle)}">${ways[riddle][riddle === shown ? 1 : 0]}</a></li>`,
  )
  const work = html`<li class="js"><a href="${frame.again}">${isWidget(frame) ? 'No reading' : 'Let this device do the work instead'}</a></li>`
  const all = shown ? [...links, work] : links
  return all.length > 0 ? html`<ul class="others">${all}</ul>` : undefined
}

/** Not there before it is done. */
function done(frame: Frame, { shown = false } = {}): Html {
  const hidden = shown ? undefined : new Html(' hidden')
  if (isWidget(frame))
    return html`<section id="done"${hidden}>
<h1 id="done-title" tabindex="-1">✓ Done</h1>
<p class="soft">You can go on.</p>
</section>`
  return html`<section id="done"${hidden}>
<h1 id="done-title" tabindex="-1">Done</h1>
<p>Go back to Signal to continue.</p>
<p><a class="button" id="open" href="#">Back to Signal</a></p>
<div class="more">
<label for="link">For signal-cli, copy this address</label>
<div class="row"><input id="link" readonly value=""><button class="plain js" id="copy" type="button">Copy</button></div>
<p id="copied" role="status"></p>
</div>
</section>`
}

/** The work, for a button press. */
export function startPage(frame: Frame): string {
  const small = isWidget(frame)
  const intro = small
    ? undefined
    : html`<p>To keep machines out, your device does a moment’s work. Nobody else is asked, and nothing is kept about you.</p>`
  const choice = frame.riddles.length > 0
  return page(
    frame,
    'Are you a person?',
    html`<div id="ask">
<h1${small ? html` class="unseen"` : undefined}>Are you a person?</h1>
${intro}
<button class="js" id="start" type="button">${small ? 'I am a person' : 'Begin'}</button>
<progress class="js" id="progress" max="1" value="0" aria-label="Progress" hidden></progress>
<noscript><p>${choice ? 'Without JavaScript your device can’t do the work.' : 'This page needs JavaScript.'}</p></noscript>
<p id="status" role="status"></p>
${others(frame)}
</div>
${done(frame)}`,
  )
}

const RIDDLES = {
  picture: (challenge: string) => html`<h1>Which letters and digits?</h1>
<img src="/captcha/pictures/${challenge}" width="${PICTURE_WIDTH}" height="${PICTURE_HEIGHT}" alt="Six letters and digits to type. If you can’t see them, hear digits instead.">`,
  sound: (challenge: string) => html`<h1>Which digits do you hear?</h1>
<audio controls preload="none" src="/captcha/sounds/${challenge}" aria-label="Six digits, said in English over a murmur"></audio>`,
} as const
const LABELS = { picture: 'The six letters and digits', sound: 'The six digits' } as const

export function riddlePage(frame: Frame, riddle: Riddle, challenge: string, wasWrong: boolean): string {
  const typed =
    riddle === 'sound' ? html` inputmode="numeric"` : html` autocapitalize="characters" spellcheck="false"`
  const wrong = html`<p class="bad" id="wrong" role="alert">That was not it. Here is another one.</p>`
  return page(
    frame,
    wasWrong ? 'Not right: try another' : 'Are you a person?',
    html`<div id="ask">
${RIDDLES[riddle](challenge)}
${wasWrong ? wrong : undefined}
<form method="post" action="/captcha/answer">
<input type="hidden" name="challenge" value="${challenge}">
<label for="answer">${LABELS[riddle]}</label>
<input class="code" id="answer" name="answer" required maxlength="20" autocomplete="off"${typed}${wasWrong ? html` aria-describedby="wrong"` : undefined}>
<button type="submit">Continue</button>
</form>
${others(frame, riddle)}
</div>`,
  )
}

/** `href` leads back to the app; a widget tells the page around it instead. */
export function donePage(frame: Frame, token: string, seconds: number, href: string): string {
  const filled = done(frame, { shown: true })
    .text.replace('href="#"', () => html`href="${href}"`.text)
    .replace('value=""', () => html`value="${href}"`.text)
  return page(frame, 'Done', new Html(filled), {
    token,
    seconds,
    ...(!isWidget(frame) && { href }),
  })
}

/** Without anything to answer: `sentence` says why. */
export function refusalPage(frame: Omit<Frame, 'riddles'>, title: string, sentence: string): string {
  return page(
    { ...frame, riddles: [] },
    title,
    html`<h1>${title}</h1>
<p>${sentence}</p>
<p><a href="${frame.again}">Try again</a></p>`,
  )
}

/** With the widget of somebody else. */
export function foreignPage(frame: Frame, { provider, siteKey, scriptUrl }: Foreign): string {
  const { className } = FOREIGN[provider]
  const { action } = frame.purpose
  return page(
    { ...frame, purpose: { ...frame.purpose, site: siteKey } },
    'Are you a person?',
    html`<div id="ask">
<h1>Are you a person?</h1>
<div class="${className}" data-sitekey="${siteKey}" data-action="${action}" data-callback="solved" data-error-callback="failed"></div>
<script src="${scriptUrl}" async defer></script>
<noscript><p>This page needs JavaScript.</p></noscript>
<p id="status" role="status"></p>
</div>
${done(frame)}`,
    { scheme: SCHEMES[provider] },
  )
}
