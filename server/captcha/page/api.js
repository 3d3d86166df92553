// The widget: takes the place of reCAPTCHA's, hCaptcha's and Turnstile's scripts on a page that was written for one of them.
;(() => {
  const home = new URL(document.currentScript.src)
  const FIELDS = {
    'g-recaptcha': 'g-recaptcha-response',
    'h-captcha': 'h-captcha-response',
    'cf-turnstile': 'cf-turnstile-response',
    'heliograph-captcha': 'heliograph-captcha-response',
  }
  const CLASSES = Object.keys(FIELDS)
  const widgets = []

  /** A function, or the name of one. */
  const functionOf = (value) => {
    const found =
      typeof value === 'string' ? value.split('.').reduce((of, name) => of?.[name], window) : value
    return typeof found === 'function' ? found : () => {}
  }

  const elementOf = (given) => {
    const element =
      typeof given === 'string' ? document.getElementById(given) || document.querySelector(given) : given
    if (!element) throw new Error('captcha: there is no such element')
    return element
  }

  function addressOf({ sitekey, action, theme }) {
    const address = new URL('/captcha/widget', home.origin)
    const shade = theme === 'auto' ? undefined : theme
    const values = { sitekey, origin: window.location.origin, action, theme: shade }
    for (const [name, value] of Object.entries(values)) if (value) address.searchParams.set(name, value)
    return address.href
  }

  /** `api`: the name under which the page asks, which says how its form calls the field. */
  function render(api, container, given = {}) {
    const element = elementOf(container)
    if (element.dataset.captchaId !== undefined) return Number(element.dataset.captchaId)
    const options = { ...element.dataset, ...given }
    const field = document.createElement('textarea')
    field.name =
      options['response-field-name'] ||
      options.responseFieldName ||
      FIELDS[CLASSES.find((name) => element.classList.contains(name)) || api]
    field.hidden = true
    const frame = document.createElement('iframe')
    frame.title = 'Check that you are a person'
    frame.style.cssText = 'border:0;display:block;width:100%;max-width:304px;height:120px;color-scheme:normal'
    if (options.tabindex) frame.tabIndex = Number(options.tabindex)
    frame.src = addressOf(options)
    element.append(frame, field)
    const id = widgets.push({ element, frame, field, options }) - 1
    element.dataset.captchaId = String(id)
    return id
  }

  const widgetOf = (id = 0) =>
    typeof id === 'number' ? widgets[id] : widgets[Number(elementOf(id).dataset.captchaId)]

  const option = ({ options }, name, inCamelCase) => functionOf(options[name] || options[inCamelCase])
  const EVENTS = {
    height({ frame }, { height }) {
      if (height > 0 && height < 2000) frame.style.height = `${height}px`
    },
    solved(widget, { token }) {
      widget.field.value = String(token)
      option(widget, 'callback')(widget.field.value)
    },
    expired(widget) {
      widget.field.value = ''
      option(widget, 'expired-callback', 'expiredCallback')()
    },
    error: (widget) => option(widget, 'error-callback', 'errorCallback')(),
  }

  window.addEventListener('message', ({ origin, source, data }) => {
    if (origin !== home.origin || data?.from !== 'heliograph-captcha') return
    const widget = widgets.find(({ frame }) => frame.contentWindow === source)
    if (widget && Object.hasOwn(EVENTS, data.event)) EVENTS[data.event](widget, data)
  })

  const whenReady = (then) => {
    if (document.readyState === 'loading') document.addEventListener('DOMContentLoaded', then, { once: true })
    else then()
  }

  const apiOf = (name) => ({
    render: (container, options) => render(name, container, options),
    getResponse: (id) => widgetOf(id)?.field.value ?? '',
    reset(id) {
      const widget = widgetOf(id)
      if (!widget) return
      widget.field.value = ''
      widget.frame.src = addressOf(widget.options)
    },
    remove(id) {
      const widget = widgetOf(id)
      if (!widget) return
      widget.frame.remove()
      widget.field.remove()
      delete widget.element.dataset.captchaId
    },
    ready: whenReady,
  })
  const names = {
    grecaptcha: 'g-recaptcha',
    hcaptcha: 'h-captcha',
    turnstile: 'cf-turnstile',
    heliographCaptcha: 'heliograph-captcha',
  }
  for (const [name, className] of Object.entries(names)) window[name] ??= apiOf(className)

  whenReady(() => {
    if (home.searchParams.get('render') !== 'explicit')
      for (const element of document.querySelectorAll(CLASSES.map((name) => `.${name}`).join()))
        if (element.dataset.sitekey) render(CLASSES[0], element)
    functionOf(home.searchParams.get('onload') ?? undefined)()
  })
})()
