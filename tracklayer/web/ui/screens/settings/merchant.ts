// What is changed of a merchant: one mutation, of what changed alone.

import { useState } from 'preact/hooks'

import { say } from '../../lib/announce'
import { ask, look } from '../../lib/api'
import { useDraft, type Draft } from '../../lib/draft'
import type { Trouble } from '../../parts/Troubles'
import {
  Settings,
  UpdateMerchant,
  type MerchantSettingsFragment as Stored,
  type SettingsQuery,
  type UpdateMerchantMutationVariables,
} from './settings.gql'

export type Merchant = SettingsQuery['merchant']
export type Channel = Merchant['alertChannels'][number]
export type Key = Merchant['apiKeys'][number]
type Input = UpdateMerchantMutationVariables['input']

/** Saves; the answer is what is stored then, null where nothing is, and `troubles` why not. */
export function useUpdate(saved: () => void): { troubles: Trouble[]; update: (input: Input) => Promise<Stored | null> } {
  const [troubles, setTroubles] = useState<Trouble[]>([])
  const update = async (input: Input) => {
    const { updateMerchant } = await ask(UpdateMerchant, { input })
    setTroubles(updateMerchant.userErrors)
    if (!updateMerchant.merchant) {
      say('Not saved.', { isBad: true })
      return null
    }
    say('Saved.')
    saved()
    return updateMerchant.merchant
  }
  return { troubles, update }
}

/** A form of some of a merchant's settings. `read`: those that it is about. `save`: nothing where others changed what it would
 * change, and nobody has seen that. */
export function useForm<T extends object>(
  merchant: Merchant,
  saved: () => void,
  read: (merchant: Stored) => T,
): { form: Draft<T>; troubles: Trouble[]; save: (input: Input) => Promise<void> } {
  const form = useDraft(read(merchant))
  const { troubles, update } = useUpdate(saved)
  const save = async (input: Input) => {
    const { merchant: now } = await look(Settings, {})
    if (!form.meets(read(now))) {
      saved() // what else is shown of it may be as old
      return
    }
    const asStored = { ...now, ...input, collector: { ...now.collector, ...input.collector } } as Stored
    const stored = await form.send(() => update(input), read(asStored))
    if (stored) form.settle(read(stored))
  }
  return { form, troubles, save }
}
