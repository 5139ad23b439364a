/**
 * A value from a file, for an error message: short, and nothing in it can steer a terminal.
 *
 * Containers are only named: what they hold may be of any size.
 */
export function describeValue(found: unknown): string {
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
