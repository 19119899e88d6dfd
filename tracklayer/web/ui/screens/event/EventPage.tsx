import { Page } from '../../parts/Page'

export function EventPage({ eventId }: { eventId: string }) {
  return (
    <Page title={eventId}>
      <p />
    </Page>
  )
}
