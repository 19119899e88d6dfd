import type { Platform } from '../../lib/platforms'
import { Page } from '../../parts/Page'

export function DestinationPage({ platform }: { platform: Platform }) {
  return (
    <Page title={platform}>
      <p />
    </Page>
  )
}
