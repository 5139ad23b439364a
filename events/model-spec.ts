/** The vocabulary of the tables of what happens to the model (`inputs.ts`) and what it shows. */

/** How a value travels: 64-bit integers as bigint, 32-bit ones as number. */
export type ValueType = 'u64' | 's64' | 'u32' | 's32' | 'bool' | 'bytes' | 'text';

/** One field of an input or an observation of the model. */
export interface ValueSpec {
  readonly type: ValueType;
  /** Meaning and unit. */
  readonly doc: string;
  /** It may be left out. */
  readonly optional?: true;
}

/** On what an input acts, and so which names it carries. */
export type InputTarget = 'host' | 'vm' | 'vcpu';

/** One kind of input. */
export interface InputSpec {
  readonly target: InputTarget;
  readonly doc: string;
  readonly fields: ValueSpecs;
}

/** A table of inputs, typed as it is written. */
export const inputs = <const T extends Record<string, InputSpec>>(table: T): T => table;

/** The TypeScript type of a field. */
export type ValueOf<T extends ValueType> = T extends 'u64' | 's64'
  ? bigint
  : T extends 'bool'
    ? boolean
    : T extends 'bytes'
      ? Uint8Array
      : T extends 'text'
        ? string
        : number;

/** Fields by name. */
export type ValueSpecs = Readonly<Record<string, ValueSpec>>;

type OptionalNames<F extends ValueSpecs> = {
  [K in keyof F]: F[K] extends { readonly optional: true } ? K : never;
}[keyof F];

/** An object with these fields. */
export type ValuesOf<F extends ValueSpecs> = {
  readonly [K in Exclude<keyof F, OptionalNames<F>>]: ValueOf<F[K]['type']>;
} & { readonly [K in OptionalNames<F>]?: ValueOf<F[K]['type']> };
