// What TrackLayer knows of the platforms: asked once.

import { effect, signal } from '@preact/signals'

import { ask } from './api'
import { Platforms, type PlatformsQuery, type Platform } from './platforms.gql'
import { session } from './session'

export type { Platform }
export type PlatformFacts = PlatformsQuery['platforms'][number]

export const platforms = signal<PlatformFacts[]>([])

export function factsOf(platform: Platform): PlatformFacts | undefined {
  return platforms.value.find((one) => one.platform === platform)
}

/** As the page itself names them, so that none is called otherwise before it was asked for. */
const titles: Partial<Record<Platform, string>> = Object.fromEntries(
  (document.getElementById('app')?.dataset['titles'] ?? '').split(';').map((one) => one.split('=')),
)

/** Google Ads, of GOOGLE_ADS. */
export function titleOf(platform: Platform): string {
  return titles[platform] ?? platform
}

// An object, as a list could lack one without the compiler's saying so.
const EVERY = {
  META: 1, TIKTOK: 1, GOOGLE_ADS: 1, GA4: 1, PINTEREST: 1, SNAPCHAT: 1, LINKEDIN: 1, REDDIT: 1, MICROSOFT_ADS: 1, X_ADS: 1,
} satisfies Record<Platform, 1>
export const KEYS = Object.keys(EVERY) as readonly Platform[]

export function loadPlatforms(): void {
  effect(() => {
    if (!session.value || platforms.peek().length) return
    void ask(Platforms, {}).then(
      (found) => {
        platforms.value = found.platforms
      },
      () => {},
    )
  })
}
