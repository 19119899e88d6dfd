// The browser's language, before anything reads it: some name none that `Intl` takes, such as en-US@posix or C, and what
// writes numbers by it would not even begin.

try {
  new Intl.NumberFormat(navigator.language)
} catch {
  Object.defineProperty(navigator, 'language', { value: 'en-GB', configurable: true })
}

export {}
