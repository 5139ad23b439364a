/** Which valid name somebody may have meant. */

/** Longer names are cut: the work grows with the product of both lengths. */
const MOST = 64;

/** Single-character edits that turn `a` into `b` (Levenshtein). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const changed = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(changed, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}

/** The three valid names nearest to `name`, nearest first; case does not count. */
export function nearest<T extends string>(name: string, valid: readonly T[]): readonly T[] {
  const sought = name.slice(0, MOST).toLowerCase();
  const far = new Map(valid.map((v) => [v, distance(sought, v.toLowerCase())]));
  return valid.toSorted((a, b) => far.get(a)! - far.get(b)!).slice(0, 3);
}
