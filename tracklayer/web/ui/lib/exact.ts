// Numbers as the server wrote them: 129.90 stays 129.90, and no digit of a long one is lost.

/** A number that JavaScript's own cannot hold as it was written. */
export class Digits {
  constructor(readonly source: string) {}
  toString(): string {
    return this.source
  }
  toJSON(): unknown {
    return raw(this.source)
  }
}

/** An amount: money, a quantity. */
export type Decimal = number | Digits

export type Json = null | boolean | Decimal | string | Json[] | { [key: string]: Json }

type Reviver = (key: string, value: unknown, context?: { source?: string }) => unknown
const parse = JSON.parse as (text: string, reviver: Reviver) => unknown
const { rawJSON } = JSON as unknown as { rawJSON?: (text: string) => unknown }

function raw(source: string): unknown {
  return rawJSON ? rawJSON(source) : Number(source)
}

/** JSON with exact numbers, where the browser tells how they were written; elsewhere JavaScript's own. */
export function readJson(text: string): Json {
  return parse(text, (_key, value, context) => {
    if (typeof value !== 'number' || context?.source === undefined || String(value) === context.source) return value
    return new Digits(context.source)
  }) as Json
}

/** As it would be sent, with two spaces a level. */
export function writeJson(value: unknown): string {
  return JSON.stringify(value, null, 2)
}
