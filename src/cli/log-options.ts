/** The options of `replay` that only logs have. */
export interface LogOptions {
  readonly at?: number;
  readonly diff: boolean;
  readonly profile?: string;
  readonly set: readonly string[];
}

/** Of an option that can be given several times. */
export const collect = (text: string, before: readonly string[]): readonly string[] => [
  ...before,
  text,
];

/** How each of them is written. */
export const givenLogOptions = ({ at, diff, profile, set }: LogOptions): readonly string[] => [
  ...(at === undefined ? [] : ['--at']),
  ...(diff ? ['--diff'] : []),
  ...(profile === undefined ? [] : ['--profile']),
  ...(set.length === 0 ? [] : ['--set']),
];
