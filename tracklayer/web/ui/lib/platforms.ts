// What TrackLayer knows of the ten platforms: asked once.

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

/** Google Ads, of GOOGLE_ADS. */
export function titleOf(platform: Platform): string {
  return factsOf(platform)?.title ?? platform
}

export const KEYS = [
  'META', 'TIKTOK', 'GOOGLE_ADS', 'GA4', 'PINTEREST', 'SNAPCHAT', 'LINKEDIN', 'REDDIT', 'MICROSOFT_ADS', 'X_ADS',
] as const satisfies readonly Platform[]

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
