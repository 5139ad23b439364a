/** Generated source text, as the formatter would have it. */

const WIDTH = 100;

/** Further in by one step. */
export const inside = (lines: readonly string[]): string[] =>
  lines.map((line) => (line === '' ? '' : `  ${line}`));

/** The head of an `if` whose condition holds when any of these does. */
function head(before: string, conditions: readonly string[], depth: number): string[] {
  const line = `${before}if (${conditions.join(' || ')}) {`;
  if (line.length + 2 * depth <= WIDTH) return [line];
  const last = conditions.length - 1;
  const broken = conditions.map((one, i) => (i === last ? `  ${one}` : `  ${one} ||`));
  return [`${before}if (`, ...broken, ') {'];
}

/** What is done when any of some conditions holds. */
export interface Branch {
  /** Empty for what is done otherwise. */
  readonly when: readonly string[];
  readonly body: readonly string[];
}

/** An `if` with its `else`s. @param depth - of the text they stand in, in steps. */
export function branches(all: readonly Branch[], depth: number): string[] {
  const lines: string[] = [];
  for (const [index, { when, body }] of all.entries()) {
    const before = index === 0 ? '' : '} else ';
    lines.push(...(when.length === 0 ? ['} else {'] : head(before, when, depth)), ...inside(body));
  }
  return lines.length === 0 ? [] : [...lines, '}'];
}
