// TrackLayer, on a shop's page: tells the shop's own collector which click led here. It stores nothing in the page, asks
// nobody else, and says nothing before consent where its tag has data-consent="required".
//   tl.consent(true | false)  what the visitor chose; before this file is there, set window.tlConsent
//   tl.id()                   a promise of the browser's id for your backend, or null
(() => {
  'use strict'
  // An element that a page names "cookie" or "tl" stands in the place of what is the browser's, or ours.
  const the = (name) => Object.getOwnPropertyDescriptor(Document.prototype, name)?.get?.call(document)
  const tag = the('currentScript')
  if (!(tag instanceof HTMLScriptElement) || typeof window.tl?.consent === 'function') return
  const here = new URL(tag.src)
  const to = new URL('t', here).href
  const key = here.searchParams.get('m')
  const asks = tag.dataset.consent === 'required'
  const parameters = 'fbclid gclid gbraid wbraid ttclid msclkid twclid li_fat_id rdt_cid epik ScCid'.split(' ')
  const cookies =
    /^(_fb[cp]|_gcl_(aw|gb|ag)|_ga(_\w+)?|_ttp|ttclid|_uetmsclkid|twclid|li_fat_id|_rdt_(uuid|cid)|_epik|_sc(id|clid))$/
  let said = null
  let owed = null // a refusal that no answer came to: it is told first, also where the visitor agreed since
  let last = ''
  let line = Promise.resolve(null)

  const may = () => (asks ? said === 'granted' : said !== 'denied')

  // At most 3 KB of it, the address first: a call may have 4.
  const shown = () => {
    const p = {}
    const c = {}
    let room = 3000
    const keep = (into, name, value) => {
      // Neither a quote nor a letter of two bytes: what it has in length, it has in bytes.
      if (name in into || !/^[!#-[\]-~]{1,1024}$/.test(value)) return
      const size = name.length + value.length + 6
      if (size > room) return
      room -= size
      into[name] = value
    }
    // A page that changes its own address has lost what it was opened with.
    for (const address of [location.href, performance.getEntriesByType('navigation')[0]?.name, the('referrer')]) {
      if (!address) continue
      const url = new URL(address)
      // Another site's address has that site's clicks.
      if (url.hostname !== location.hostname) continue
      for (const name of parameters) keep(p, name, url.searchParams.get(name) || '')
    }
    for (const part of the('cookie').split('; ')) {
      const at = part.indexOf('=')
      const name = part.slice(0, at)
      if (at > 0 && cookies.test(name)) keep(c, name, part.slice(at + 1))
    }
    return { p, c }
  }

  const body = (s, seen, i) => JSON.stringify({ m: key, s, q: asks, i, ...seen })

  const wait = (ms) => new Promise((done) => setTimeout(done, ms))

  const call = async (s, i, tries) => {
    const about = owed
    if (about) s = 'denied'
    const seen = s === 'denied' ? {} : shown()
    last = JSON.stringify(seen)
    try {
      // Text is sent without asking beforehand.
      const answer = await fetch(to, { method: 'POST', body: body(s, seen, i), credentials: 'include', keepalive: true })
      if (answer.status < 500) {
        if (owed === about && answer.status !== 429) owed = null
        return answer.status === 200 ? (await answer.json()).browserId : null
      }
    } catch {
      // as if it had no answer
    }
    if (!tries) return null
    await wait(4000)
    return call(s, i, tries - 1)
  }

  // One after another: the first answer gives the browser its id.
  const next = (i, refusal) =>
    (line = line.then(async () => {
      if (owed) await call('denied', false, 2)
      return refusal || owed || said === 'denied' ? null : call(said, i, 2)
    }))

  const again = () => {
    if (may() && last && JSON.stringify(shown()) !== last) return next(false)
  }

  window.tl = {
    id: () => (may() ? next(true) : Promise.resolve(null)),
    consent: (given) => {
      said = given ? 'granted' : 'denied'
      if (!given) owed = {}
      return next(false, !given).then(() => undefined)
    },
  }

  const start = () => {
    if (typeof window.tlConsent === 'boolean') window.tl.consent(window.tlConsent)
    else if (may()) next(false)
    // The platforms' own tags set their cookies a moment later.
    setTimeout(again, 3000)
    addEventListener('visibilitychange', () => {
      if (the('visibilityState') !== 'hidden') return
      if (owed) navigator.sendBeacon(to, body('denied', {}, false))
      else if (may() && last) {
        const seen = shown()
        const now = JSON.stringify(seen)
        if (now !== last && navigator.sendBeacon(to, body(said, seen, false))) last = now
      }
    })
  }
  if (the('prerendering')) document.addEventListener('prerenderingchange', start, { once: true })
  else start()
})()
