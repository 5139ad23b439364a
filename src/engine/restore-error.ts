import { describeValue } from '../num/index.ts';

/** JSON that is no persisted world. */
export class RestoreError extends Error {
  override readonly name = 'RestoreError';
  /** Where: `vms[0].state.masterclock`. */
  readonly path: string;
  readonly expected: string;
  /** What was found, shortened and printable. */
  readonly found: string;

  /** @internal What is found is a value, or the text of one that was described before. */
  constructor(path: string, expected: string, found: unknown, described?: string) {
    const text = described ?? describeValue(found);
    super(`${path === '' ? 'the world' : path}: expected ${expected}, found ${text}`);
    this.path = path;
    this.expected = expected;
    this.found = text;
  }
}
