// Light or dark: as the system has it, unless somebody chose.

import { signal } from '@preact/signals'

export type Theme = 'auto' | 'light' | 'dark'

export const theme = signal<Theme>('auto')

export function setTheme(to: Theme): void {
  theme.value = to
  if (to === 'auto') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = to
  try {
    localStorage.setItem('theme', to)
  } catch {}
}

export function restoreTheme(): void {
  try {
    const found = localStorage.getItem('theme')
    if (found === 'light' || found === 'dark') setTheme(found)
  } catch {}
}
