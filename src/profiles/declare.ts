/** How a switch is declared: its values, what they mean, and what brought them. */
import type { Source } from './source.ts';

/** What a switch can be set to. */
export type SwitchValue = string | boolean | number;

/** One switch. */
export interface SwitchSpec<V extends SwitchValue = SwitchValue> {
  /** Oldest behaviour first; of a flag, false. */
  readonly values: readonly V[];
  /** What it decides, and what each value means. */
  readonly doc: string;
  /** Where a value came in; a value without an entry is older than every profile. */
  readonly since: { readonly [K in `${V}`]?: Source };
  /** Every source of it was checked. */
  readonly verified: boolean;
}

/** Declares a switch; a source for a value that it has not got is a type error. */
export function choice<const V extends SwitchValue>(
  values: readonly V[],
  doc: string,
  since: { readonly [K in `${V}`]?: Source } = {},
): SwitchSpec<V> {
  const sources: readonly (Source | undefined)[] = Object.values(since);
  const verified = sources.every((source) => source?.verified !== false);
  return Object.freeze({
    values: Object.freeze(values),
    doc,
    since: Object.freeze(since),
    verified,
  });
}

/** Declares a switch that is off or on. */
export const flag = (
  doc: string,
  since: { readonly true?: Source; readonly false?: Source } = {},
) => choice([false, true], doc, since);
