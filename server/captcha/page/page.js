// What the pages do where there is JavaScript: the work, the way back, the copy button, and word to the page around a widget.
const main = document.querySelector('main')
const { site, action, origin, base, href, token, seconds, scheme } = main.dataset
const at = (id) => document.getElementById(id)
const isWidget = document.body.classList.contains('widget')
document.documentElement.classList.add('js')

/** The server looked at the origin, and the browser did (frame-ancestors). */
const tell = (event, more = {}) => {
  if (isWidget) window.parent.postMessage({ from: 'heliograph-captcha', event, ...more }, origin)
}
const tellHeight = () => tell('height', { height: Math.ceil(main.getBoundingClientRect().height) })

function say(text, isBad = false) {
  const status = at('status')
  status.textContent = text
  status.classList.toggle('bad', isBad)
}

async function post(path, body) {
  const headers = { 'content-type': 'application/json' }
  const reply = await fetch(path, {
    method: 'POST',
    headers,
    body: JSON.stringify(body),
    credentials: 'omit',
  })
  if (reply.ok) return reply.json()
  throw Object.assign(new Error('refused'), { status: reply.status, after: reply.headers.get('retry-after') })
}

/** Each takes memory of its own: a small phone has less of it than cores. */
const threads = () =>
  Math.max(1, Math.min(navigator.hardwareConcurrency || 2, navigator.deviceMemory <= 2 ? 2 : 4))

/** Resolves with the key; rejects if the browser can't. The first worker loads what the others then have at hand. */
function work(puzzle, onProgress) {
  const step = threads()
  const workers = []
  let tried = 0
  return new Promise((resolve, reject) => {
    const start = (first) => {
      const worker = new Worker(`${base}/solver.js`)
      workers.push(worker)
      worker.onerror = () => reject(new Error('no worker'))
      worker.onmessage = ({ data }) => {
        if (data.failed) reject(new Error('no memory'))
        else if (data.key) resolve(data.key)
        else if (!data.ready) onProgress(++tried / puzzle.count)
        else if (first === 0) for (let other = 1; other < step; other++) start(other)
      }
      worker.postMessage({ puzzle, first, step })
    }
    start(0)
  }).finally(() => {
    for (const worker of workers) worker.terminate()
  })
}

async function solve(progress) {
  const wanted = { siteKey: site, action, ...(origin && { origin }) }
  const { challenge, puzzle } = await post('/captcha/puzzles', wanted)
  const key = await work(puzzle, (part) => {
    progress.value = part
  })
  progress.value = 1
  return post('/captcha/solutions', { challenge, key })
}

async function run() {
  const [button, progress] = [at('start'), at('progress')]
  if (button.getAttribute('aria-disabled') === 'true') return
  button.setAttribute('aria-disabled', 'true')
  progress.value = 0
  progress.hidden = false
  say('Working. This takes a moment.')
  try {
    const solved = await solve(progress)
    finish(solved.token, solved.expiresInSeconds, solved.href)
  } catch (error) {
    progress.hidden = true
    button.setAttribute('aria-disabled', 'false')
    say(explain(error), true)
    tell('error')
  }
}

function explain({ status, after }) {
  if (status === 429) return `Too many tries from your network. Try again in ${after || 60} seconds.`
  if (status === 503) return 'Many people are asking just now. Try again in a moment.'
  if (status === 403) return 'That did not count. Try again.'
  if (status !== undefined) return 'Something is wrong here. Try again later.'
  return 'Your browser could not do it. Try again, or choose something else.'
}

function finish(token, seconds, href) {
  at('ask')?.remove()
  at('done').hidden = false
  at('done-title').focus()
  if (isWidget) standDone(token, Number(seconds))
  else leadBack(href)
}

/** Apps take the address as soon as the page goes there; elsewhere it stays to be copied. */
function leadBack(href) {
  at('open').href = href
  at('link').value = href
  window.location.href = href
}

function standDone(token, seconds) {
  tell('solved', { token, seconds })
  setTimeout(() => {
    tell('expired')
    window.location.assign(main.dataset.again)
  }, seconds * 1000)
}

async function copy() {
  const link = at('link')
  link.select()
  const wrote = navigator.clipboard ? navigator.clipboard.writeText(link.value) : Promise.reject()
  const copied = await wrote.then(
    () => true,
    () => document.execCommand('copy'),
  )
  at('copied').textContent = copied ? 'Copied.' : 'It could not be copied: select the text and copy it.'
}

/** What somebody else's widget calls. */
window.solved = (foreign) => finish(foreign, 0, `signalcaptcha://${scheme}.${site}.${action}.${foreign}`)
window.failed = () => say('That did not work. Reload the page to try again.', true)

at('start')?.addEventListener('click', () => void run())
at('copy')?.addEventListener('click', () => void copy())
if (isWidget) new ResizeObserver(tellHeight).observe(main)
if (token) finish(token, seconds, href)
