/** A sentence of TrackLayer's: what stands between backticks is set as code, and all of it is text. */
export function Ticked({ text }: { text: string }) {
  return <>{text.split('`').map((part, index) => (index % 2 ? <code key={index}>{part}</code> : part))}</>
}
