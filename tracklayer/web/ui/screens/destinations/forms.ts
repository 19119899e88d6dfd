// What each platform asks of a destination: it changes with a release only, and is asked once.

import { signal } from '@preact/signals'
import { useEffect } from 'preact/hooks'

import { ApiError, ask } from '../../lib/api'
import { PlatformForms } from './destinations.gql'
import type { PlatformForm } from './form'

const found = signal<PlatformForm[] | null>(null)
const failed = signal<ApiError | null>(null)

function load(): void {
  failed.value = null
  ask(PlatformForms, {}).then(
    (data) => {
      found.value = data.platforms
    },
    (error: unknown) => {
      failed.value = error instanceof ApiError ? error : new ApiError('INTERNAL', 'This screen met a fault of its own.')
    },
  )
}

/** null: not there yet. */
export function useForms(): { forms: PlatformForm[] | null; error: ApiError | null; again: () => void } {
  useEffect(() => {
    if (!found.value) load()
  }, [])
  return { forms: found.value, error: failed.value, again: load }
}
