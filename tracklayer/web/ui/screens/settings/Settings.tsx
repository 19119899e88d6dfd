import { useEffect } from 'preact/hooks'

import { useAsk } from '../../lib/ask'
import { learnName, may } from '../../lib/session'
import { ErrorNotice, Loading, Notice } from '../../parts/Notice'
import { Page } from '../../parts/Page'
import { Channels } from './Channels'
import { Collector } from './Collector'
import { Emails } from './Emails'
import { Erasure } from './Erasure'
import { General } from './General'
import { Here } from './Here'
import { Kept } from './Kept'
import { Keys } from './Keys'
import './settings.css'
import { Settings as Question } from './settings.gql'

export function Settings() {
  const asked = useAsk(Question, {}, { every: 15_000 })
  const merchant = asked.data?.merchant
  const isThere = merchant !== undefined
  useEffect(() => {
    if (isThere && location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView()
  }, [isThere])
  const name = merchant?.name
  useEffect(() => {
    if (name !== undefined) learnName(name)
  }, [name])
  return (
    <Page title="Settings">
      <ErrorNotice error={asked.error} again={asked.again} />
      {!merchant && !asked.error && <Loading />}
      {!may('ADMIN') && (
        <Notice>
          <p>Your key lacks the scope ADMIN: you see everything here and can change nothing.</p>
        </Notice>
      )}
      {merchant && (
        <>
          <div class="halves">
            <div>
              <General merchant={merchant} saved={asked.again} />
            </div>
            <div>
              <Kept merchant={merchant} saved={asked.again} />
              <Emails merchant={merchant} saved={asked.again} />
            </div>
          </div>
          <div id="channels">
            <Channels channels={merchant.alertChannels} changed={asked.again} />
          </div>
          <Collector merchant={merchant} saved={asked.again} />
          <Erasure />
          <Keys keys={merchant.apiKeys} changed={asked.again} />
          <Here keys={merchant.apiKeys} />
        </>
      )}
    </Page>
  )
}
