import { Option } from 'commander';

/** Options of `replay` for logs; those of the kernel are recordings' too. */
export interface LogOptions {
  readonly at?: number;
  readonly diff: boolean;
  readonly profile?: string;
  readonly set: readonly string[];
}

/** `--set`, which can be given several times. */
export const setOption = (what: string): Option =>
  new Option('--set <switch=value>', `${what}; repeatable`)
    .argParser((text: string, before: readonly string[]): readonly string[] => [...before, text])
    .default([], 'none');

/** How those are written that recordings do not have. */
export const givenLogOptions = ({ at, diff }: LogOptions): readonly string[] => [
  ...(at === undefined ? [] : ['--at']),
  ...(diff ? ['--diff'] : []),
];
