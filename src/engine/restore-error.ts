/** A value from a file in an error message: short, and nothing in it can steer a terminal. */
function describe(found: unknown): string {
  if (found === undefined) return 'nothing';
  if (found === null) return 'null';
  if (Array.isArray(found)) return `an array of ${found.length}`;
  if (typeof found === 'object') return 'an object';
  const text = typeof found === 'string' ? JSON.stringify(found.slice(0, 40)) : String(found);
  return text.replace(
    /[^\x20-\x7e]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

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
    const text = described ?? describe(found);
    super(`${path === '' ? 'the world' : path}: expected ${expected}, found ${text}`);
    this.path = path;
    this.expected = expected;
    this.found = text;
  }
}
