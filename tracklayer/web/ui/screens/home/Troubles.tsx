// What is about to cost conversions, and what was refused before it was stored: each with its next step.

import { useState } from 'preact/hooks'

import { count } from '../../lib/format'
import { eventHref } from '../../lib/links'
import { titleOf, type Platform } from '../../lib/platforms'
import { Section } from '../../parts/Page'
import { Ticked } from '../../parts/Ticked'
import type { AdviceLineFragment, HomeDestinationsQuery, HomeLedgerQuery } from './home.gql'

const FEW = 3

export function Advice({ merchant }: { merchant: HomeDestinationsQuery['merchant'] }) {
  const [isWhole, setWhole] = useState(false)
  const all: [Platform | null, AdviceLineFragment][] = [
    ...merchant.advice.map((one): [null, AdviceLineFragment] => [null, one]),
    ...merchant.destinations.flatMap((found) =>
      found.advice.map((one): [Platform, AdviceLineFragment] => [found.platform, one]),
    ),
  ]
  if (!all.length) return null
  const shown = isWhole ? all : all.slice(0, FEW)
  return (
    <Section title="Worth mending">
      <ul class="home-advice">
        {shown.map(([platform, one]) => (
          <li key={`${platform}${one.code}${one.sentence}`}>
            <p>
              {platform && (
                <a href={`/destinations/${platform.toLowerCase()}`}>
                  <strong>{titleOf(platform)}</strong>
                </a>
              )}{' '}
              {one.sentence}
            </p>
            <p class="quiet">
              {one.nextStep}
              {one.exampleEventId && (
                <>
                  {' '}
                  <a href={eventHref(one.exampleEventId)}>An example</a>
                </>
              )}
            </p>
          </li>
        ))}
      </ul>
      {all.length > FEW && (
        <button type="button" class="plain" onClick={() => setWhole(!isWhole)}>
          {isWhole ? 'Show less' : `Show all ${all.length}`}
        </button>
      )}
    </Section>
  )
}

const MOST = 8

export function Refused({ rows, total }: { rows: HomeLedgerQuery['rejections']; total: number }) {
  const [isWhole, setWhole] = useState(false)
  if (!total) return null
  const told = rows.reduce((sum, row) => sum + row.count, 0)
  return (
    <div id="refused">
      <Section title="Refused at the door">
        <p class="quiet">
          These were not stored: the answer to whoever sent them said so. Mend what sends them, and send them again with the
          same event ids. <a href="/docs/errors">All codes</a>
        </p>
        <div class="table as-cards" role="group" aria-label="Why events were refused" tabIndex={0}>
          <table>
            <thead>
              <tr>
                <th scope="col" class="number">
                  Events
                </th>
                <th scope="col">Name</th>
                <th scope="col">What was wrong</th>
                <th scope="col">What to do</th>
              </tr>
            </thead>
            <tbody>
              {(isWhole ? rows : rows.slice(0, MOST)).map((row) => (
                <tr key={`${row.eventName}/${row.code}/${row.field}`}>
                  <td class="number" data-name="Events">
                    {count(row.count)}
                  </td>
                  <td data-name="Name">{row.eventName === '*' ? <span class="quiet">further names, or none that could be read</span> : row.eventName || <span class="quiet">no name</span>}</td>
                  <td class="words" data-name="What was wrong">
                    {row.field && (
                      <>
                        <code>{row.field}</code>:{' '}
                      </>
                    )}
                    {row.meaning ? <Ticked text={row.meaning} /> : row.code}
                  </td>
                  <td class="words" data-name="What to do">
                    {row.nextStep && <Ticked text={row.nextStep} />}
                  </td>
                </tr>
              ))}
              {told < total && (
                <tr>
                  <td class="number" data-name="Events">
                    {count(total - told)}
                  </td>
                  <td colSpan={3} class="quiet">
                    for other reasons
                  </td>
                </tr>
              )}
            </tbody>
          </table>
        </div>
        {rows.length > MOST && (
          <button type="button" class="plain" onClick={() => setWhole(!isWhole)}>
            {isWhole ? 'Show less' : `Show all ${rows.length}`}
          </button>
        )}
      </Section>
    </div>
  )
}
