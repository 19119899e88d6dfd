import { useEffect, useRef } from 'preact/hooks'

/** Tells whether what asked is still on the screen: an answer that comes late closes, and leads away from, nothing else. */
export function useHere(): () => boolean {
  const isHere = useRef(true)
  useEffect(() => {
    isHere.current = true
    return () => {
      isHere.current = false
    }
  }, [])
  return () => isHere.current
}
