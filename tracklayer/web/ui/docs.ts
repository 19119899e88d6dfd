// What the guides get where scripts run: a search over all pages, and a button that copies each block of code.

/** [anchor, heading, text]; the first of a page has neither anchor nor heading. */
type Passage = [string, string, string]
type Page = { path: string; title: string; passages: Passage[] }
type Found = { href: string; title: string; heading: string; text: string; score: number }

const INDEX = '/static/docs-search.json'
const MOST = 12 // results that are shown: who finds nothing among them types another word
const AROUND = 70 // characters on either side of the first match
const SHOWN_MS = 2000 // how long a button says that it has copied

function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, string> = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value)
  made.append(...children)
  return made
}

/** Said by screen readers, seen by nobody. */
const status = make('p', { class: 'status', role: 'status' })

function say(text: string): void {
  status.textContent = text
}

// --- Copying -----------------------------------------------------------------------------------------------------

async function copy(text: string, from: HTMLElement): Promise<void> {
  // Browsers give the clipboard to https and this machine only; elsewhere what is selected is copied as of old.
  if (navigator.clipboard) return navigator.clipboard.writeText(text)
  getSelection()?.selectAllChildren(from)
  const isCopied = document.execCommand('copy')
  getSelection()?.removeAllRanges()
  if (!isCopied) throw new Error('not copied')
}

function addCopyButton(pre: HTMLPreElement): void {
  const button = make('button', { type: 'button', class: 'copy', 'aria-label': 'Copy this code' }, 'Copy')
  button.addEventListener('click', async () => {
    let word = 'Copied'
    try {
      await copy(pre.textContent ?? '', pre)
    } catch {
      word = 'Not copied'
    }
    say(word)
    button.textContent = word
    setTimeout(() => {
      button.textContent = 'Copy'
      say('')
    }, SHOWN_MS)
  })
  const frame = make('div', { class: 'code' })
  pre.replaceWith(frame)
  frame.append(pre, button)
}

// --- Searching ---------------------------------------------------------------------------------------------------

let asked: Promise<Page[]> | null = null

async function pages(): Promise<Page[]> {
  asked ??= fetch(INDEX).then((answer) => {
    if (!answer.ok) throw new Error(`status ${answer.status}`)
    return answer.json()
  })
  try {
    return await asked
  } catch (error) {
    asked = null
    throw error
  }
}

function wordsOf(text: string): string[] {
  return text.toLowerCase().split(/\s+/).filter(Boolean)
}

/** How well a text fits a word: at its beginning, at the beginning of one of its words, or anywhere. */
function fit(text: string, word: string): number {
  const at = text.indexOf(word)
  if (at < 0) return 0
  if (text === word) return 4
  return at === 0 || /[^\p{L}\p{N}]/u.test(text[at - 1] ?? ' ') ? 2 : 1
}

/** The passages that hold every word, in their page's title, heading or text, best first. */
function search(all: Page[], query: string): Found[] {
  const words = wordsOf(query)
  const found: Found[] = []
  for (const { path, title, passages } of all) {
    const name = title.toLowerCase()
    for (const [anchor, heading, text] of passages) {
      const head = heading.toLowerCase()
      const body = text.toLowerCase()
      let score = 0
      for (const word of words) {
        const own = 6 * fit(head, word) + fit(body, word)
        const ofPage = fit(name, word) * (anchor ? 1 : 10)
        if (own + ofPage === 0) {
          score = 0
          break
        }
        score += own + ofPage
      }
      if (score) found.push({ href: anchor ? `${path}#${anchor}` : path, title, heading, text, score })
    }
  }
  return found.sort((a, b) => b.score - a.score)
}

/** Text around the first word that it holds, with all words marked. */
function excerpt(text: string, words: string[]): HTMLElement {
  const lower = text.toLowerCase()
  const at = Math.max(0, Math.min(...words.map((word) => lower.indexOf(word)).filter((place) => place >= 0), text.length))
  const begin = at === text.length ? 0 : Math.max(0, at - AROUND)
  const end = Math.min(text.length, begin + 2 * AROUND)
  const shown = make('p')
  if (begin > 0) shown.append('… ')
  let place = begin
  while (place < end) {
    const next = words
      .map((word) => ({ word, at: lower.indexOf(word, place) }))
      .filter((one) => one.at >= 0 && one.at < end)
      .sort((a, b) => a.at - b.at || b.word.length - a.word.length)[0]
    if (!next) break
    shown.append(text.slice(place, next.at), make('mark', {}, text.slice(next.at, next.at + next.word.length)))
    place = next.at + next.word.length
  }
  if (place < end) shown.append(text.slice(place, end))
  if (end < text.length) shown.append(' …')
  return shown
}

function addSearch(header: Element): void {
  const input = make('input', {
    type: 'search',
    id: '_search',
    placeholder: 'Search',
    'aria-label': 'Search the documentation',
    'aria-keyshortcuts': '/',
    autocomplete: 'off',
    spellcheck: 'false',
  })
  const results = make('ul', { 'aria-label': 'Search results' })
  const form = make('form', { class: 'search', role: 'search' }, input, results)
  header.insertBefore(form, header.querySelector('.menu'))
  results.hidden = true

  const links = () => [...results.querySelectorAll('a')]

  function close(): void {
    results.hidden = true
    results.replaceChildren()
  }

  async function show(): Promise<void> {
    const query = input.value
    const words = wordsOf(query)
    if (!words.length) {
      close()
      say('')
      return
    }
    let found: Found[]
    try {
      found = search(await pages(), query)
    } catch {
      results.replaceChildren(make('li', {}, 'The search could not be loaded. Type again to try once more.'))
      results.hidden = false
      say('The search could not be loaded.')
      return
    }
    if (input.value !== query) return // somebody typed on while the index was on its way
    results.replaceChildren(
      ...found.slice(0, MOST).map((one) => {
        const name = one.heading ? `${one.title} › ${one.heading}` : one.title
        return make('li', {}, make('a', { href: one.href }, name), excerpt(one.text, words))
      }),
    )
    if (found.length > MOST) results.append(make('li', {}, `The best ${MOST} of ${found.length}: another word narrows it.`))
    if (!found.length) results.append(make('li', {}, `Nothing has all of these words.`))
    results.hidden = false
    if (found.length > MOST) say(`The best ${MOST} of ${found.length} results`)
    else say(found.length === 1 ? '1 result' : found.length ? `${found.length} results` : 'No results')
  }

  input.addEventListener('input', show)
  input.addEventListener('focus', () => {
    pages().catch(() => {}) // so that it is there when the first word is; `show` says what is wrong
    if (input.value) show()
  })
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    links()[0]?.click()
  })
  results.addEventListener('click', close) // a section of this page is no new page
  form.addEventListener('focusout', (event) => {
    if (!(event.relatedTarget instanceof Node && form.contains(event.relatedTarget))) close()
  })
  form.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') {
      input.value = ''
      close()
      say('')
      input.focus()
    } else if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      const all: HTMLElement[] = [input, ...links()]
      const at = all.indexOf(document.activeElement as HTMLElement)
      all[(at + (event.key === 'ArrowDown' ? 1 : all.length - 1)) % all.length]?.focus()
      event.preventDefault()
    }
  })
  addEventListener('keydown', (event) => {
    const isTyping = event.target instanceof HTMLElement && event.target.matches('input, textarea, select')
    if (event.key === '/' && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault()
      input.focus()
    }
  })
}

document.body.append(status)
document.querySelectorAll('pre').forEach(addCopyButton)
const header = document.querySelector('header')
if (header) addSearch(header)

export {}
