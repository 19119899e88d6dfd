import { Badge } from '../../parts/Status'

const SHORT: Record<string, string> = {
  emails: 'more emails',
  phones: 'more phones',
  firstName: 'first name',
  lastName: 'last name',
  dateOfBirth: 'birth date',
  externalId: 'external id',
  clientIp: 'IP',
  clientUserAgent: 'user agent',
  browserId: 'browser id',
  gaClientId: 'GA client',
  gaSessionId: 'GA session',
  leadId: 'lead id',
  jobTitle: 'job title',
  companyName: 'company',
}
// By what platforms match best: who it is, then which click it was, then the rest as it comes.
const FIRST = [
  'email', 'phone', 'externalId', 'fbc', 'fbclid', 'ttclid', 'gclid', 'gbraid', 'wbraid', 'epik', 'scClickId', 'liFatId', 'rdtCid',
  'msclkid', 'twclid', 'leadId', 'fbp', 'ttp', 'clientIp',
]
const SHOWN = 4

function rank(name: string): number {
  const place = FIRST.indexOf(name)
  return place < 0 ? FIRST.length : place
}

export function identifierWord(name: string): string {
  return SHORT[name] ?? name
}

/** Names of the identifiers that are there, never a value. */
export function Identifiers({ names }: { names: string[] }) {
  if (!names.length) return <Badge tone="warn" title="No platform can tell whose event this is.">none</Badge>
  const ordered = [...names].sort((one, other) => rank(one) - rank(other)).map(identifierWord)
  const rest = ordered.slice(SHOWN)
  return (
    <span class="identifiers">
      {ordered.slice(0, SHOWN).map((name) => (
        <Badge key={name}>{name}</Badge>
      ))}
      {rest.length > 0 && (
        <span class="quiet" title={rest.join(', ')}>
          +{rest.length}
          <span class="unseen"> more: {rest.join(', ')}</span>
        </span>
      )}
    </span>
  )
}
