/** What every trace.dat begins with. */
export const MAGIC = '\x17\x08\x44tracing';

/** True if the first bytes (10 are enough) are trace.dat's magic. */
export function isTraceDat(head: Uint8Array): boolean {
  return head.length >= MAGIC.length && [...MAGIC].every((c, i) => head[i] === c.charCodeAt(0));
}
