import { Page } from '../../parts/Page'

export function AlertPage({ id }: { id: string }) {
  return (
    <Page title="Alert">
      <p>{id}</p>
    </Page>
  )
}
