// Rows that stand still, walked with j and k, opened with Enter, chosen with x.

import type { ComponentChildren } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'

import { useKeys } from '../lib/keys'
import { go } from '../lib/router'

export interface Column<Row> {
  name: string
  cell: (row: Row) => ComponentChildren
  /** Right-aligned figures. */
  isNumber?: boolean
  /** Left out where there is little room, but for cards. */
  isMinor?: boolean
  /** Sentences: on a card they stand below the name. */
  isWords?: boolean
  /** The name is for screen readers only. */
  isUnnamed?: boolean
}

/** A list as a table. `href`: where a row leads; its first cell becomes the link. `chosen`: rows may be selected.
 * `asCards`: where there is no room for columns, a row is a card. */
export function Table<Row extends { id: string }>({
  label,
  columns,
  rows,
  href,
  chosen,
  choose,
  nameOf,
  isStale = false,
  asCards = false,
}: {
  label: string
  columns: Column<Row>[]
  rows: Row[]
  href?: (row: Row) => string
  chosen?: ReadonlySet<string>
  choose?: (id: string) => void
  /** What a row that may be selected is called. */
  nameOf?: (row: Row) => string
  isStale?: boolean
  asCards?: boolean
}) {
  const [at, setShown] = useState<string | null>(null)
  const here = useRef<string | null>(null) // keys may come faster than rows are drawn
  const setAt = (id: string) => {
    here.current = id
    setShown(id)
  }
  const body = useRef<HTMLTableSectionElement>(null)

  const move = (by: number) => {
    if (!rows.length) return
    const index = rows.findIndex((row) => row.id === here.current)
    const next = rows[Math.min(rows.length - 1, Math.max(0, index + by))]!
    setAt(next.id)
  }
  useEffect(() => {
    if (at === null || at !== here.current) return // a later key has moved on already
    const row = [...(body.current?.rows ?? [])].find((one) => one.dataset.id === at)
    // The link before the box that chooses: Enter opens.
    const link = row?.querySelector<HTMLElement>('a') ?? row?.querySelector<HTMLElement>('button, input')
    ;(link ?? row)?.focus()
    row?.scrollIntoView({ block: 'nearest' })
  }, [at])

  const current = () => rows.find((row) => row.id === here.current)
  useKeys([
    { keys: 'j', does: 'Next row', run: () => move(1) },
    { keys: 'k', does: 'Row before', run: () => move(-1) },
    ...(href
      ? [
          {
            keys: 'o',
            does: 'Open the row',
            run: () => {
              const row = current()
              if (row) go(href(row))
            },
          },
        ]
      : []),
    ...(choose
      ? [
          {
            keys: 'x',
            does: 'Select the row',
            run: () => {
              if (here.current) choose(here.current)
            },
          },
        ]
      : []),
  ])

  return (
    <div class={asCards ? 'table as-cards' : 'table'} role="group" aria-label={label} tabIndex={0} aria-busy={isStale}>
      <table class={isStale ? 'stale' : ''}>
        <thead>
          <tr>
            {choose && (
              <th scope="col">
                <span class="unseen">Selected</span>
              </th>
            )}
            {columns.map((column) => (
              <th key={column.name} scope="col" class={classOf(column)}>
                {column.isUnnamed ? <span class="unseen">{column.name}</span> : column.name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody ref={body}>
          {rows.map((row) => (
            <tr key={row.id} data-id={row.id} class={row.id === at ? 'at' : ''} onFocusIn={() => setAt(row.id)}>
              {choose && (
                <td>
                  <input
                    type="checkbox"
                    aria-label={`Select ${nameOf?.(row) ?? 'this row'}`}
                    checked={chosen?.has(row.id) ?? false}
                    onChange={() => choose(row.id)}
                  />
                </td>
              )}
              {columns.map((column, index) => (
                <td key={column.name} class={classOf(column)} data-name={(href && index === 0) || column.isUnnamed ? undefined : column.name}>
                  {href && index === 0 ? <a href={href(row)}>{column.cell(row)}</a> : column.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function classOf<Row>(column: Column<Row>): string {
  return [column.isNumber && 'number', column.isMinor && 'minor', column.isWords && 'words'].filter(Boolean).join(' ')
}
