// Whoever uses the keyboard stays where they are, also where what they pressed goes away.

/** The part of the screen that something is in. */
export function partOf(element: Element): Element | null {
  return element.closest('section') ?? document.getElementById('content')
}

/** Watches over the focus of an element until it goes elsewhere: is the element taken away, the heading of its part gets it. */
export function keepFocus(element: HTMLElement, part = partOf(element)): void {
  const look = () => {
    if (element.isConnected) return
    stop()
    const heading = part?.isConnected ? part.querySelector<HTMLElement>('h1, h2') : null
    const isLost = document.activeElement === null || document.activeElement === document.body
    if (!heading || !isLost) return
    heading.tabIndex = -1
    heading.focus({ preventScroll: true })
  }
  const watch = new MutationObserver(look)
  const stop = () => {
    watch.disconnect()
    removeEventListener('focusin', stop)
    removeEventListener('pointerdown', stop)
  }
  watch.observe(document.body, { childList: true, subtree: true })
  addEventListener('focusin', stop)
  addEventListener('pointerdown', stop)
  look()
}
