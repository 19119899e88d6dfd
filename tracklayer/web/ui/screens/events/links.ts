import { titleOf, type Platform } from '../../lib/platforms'

/** Google, of Google Ads; its other one is GA4. */
export function shortTitle(platform: Platform): string {
  return platform === 'GA4' ? platform : (titleOf(platform).split(' ')[0] ?? platform)
}

/** 90 days, of DAYS_90. */
export function retention(days: string): string {
  return `${days.replace(/\D/g, '')} days`
}
