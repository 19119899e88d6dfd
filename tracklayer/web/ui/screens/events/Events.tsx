import { Page } from '../../parts/Page'

export function Events() {
  return (
    <Page title="Events">
      <p />
    </Page>
  )
}
