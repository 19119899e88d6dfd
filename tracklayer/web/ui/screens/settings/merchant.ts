// What is changed of a merchant: one mutation, of what changed alone.

import { useEffect, useState } from 'preact/hooks'

import { say } from '../../lib/announce'
import { ask } from '../../lib/api'
import { useUnsaved } from '../../lib/unsaved'
import type { Trouble } from '../../parts/Troubles'
import { UpdateMerchant, type SettingsQuery, type UpdateMerchantMutationVariables } from './settings.gql'

export type Merchant = SettingsQuery['merchant']
export type Channel = Merchant['alertChannels'][number]
export type Key = Merchant['apiKeys'][number]
type Input = UpdateMerchantMutationVariables['input']

/** Saves; the answer says whether it is saved, and `troubles` why not. */
export function useUpdate(saved: () => void): { troubles: Trouble[]; update: (input: Input) => Promise<boolean> } {
  const [troubles, setTroubles] = useState<Trouble[]>([])
  const update = async (input: Input) => {
    const { updateMerchant } = await ask(UpdateMerchant, { input })
    setTroubles(updateMerchant.userErrors)
    if (!updateMerchant.merchant) {
      say('Not saved.', { isBad: true })
      return false
    }
    say('Saved.')
    saved()
    return true
  }
  return { troubles, update }
}

/** A draft of a value that is shown: what changes elsewhere is taken over while nobody has changed it here. */
export function useDraft<T>(shown: T): { draft: T; setDraft: (to: T) => void; isChanged: boolean; settle: () => void } {
  const [base, setBase] = useState(shown)
  const [draft, setDraft] = useState(shown)
  const isChanged = JSON.stringify(draft) !== JSON.stringify(base)
  useUnsaved(isChanged)
  const told = JSON.stringify(shown)
  useEffect(() => {
    if (!isChanged && told !== JSON.stringify(base)) {
      setBase(shown)
      setDraft(shown)
    }
  }, [told, isChanged])
  return { draft, setDraft, isChanged, settle: () => setBase(draft) }
}
