/**
 * Checks of the arguments that have fewer than 64 bits. They are JavaScript numbers, where a
 * mistake (a fraction, a NaN, a Hz value passed as kHz) would otherwise turn into plausible cycles.
 * The errors are made apart, so that the checks stay small enough to be inlined.
 */

function refuse(value: number, name: string, expected: string): never {
  throw new RangeError(`${name}: expected ${expected}, found ${value}`);
}

/** Throws unless `value` is an integer in 0 … 2^32 − 1. */
export function checkU32(value: number, name: string): void {
  if (value >>> 0 !== value) refuse(value, name, 'a u32');
}

/** Throws unless `value` is an integer in `least` … `most`, both within 32 bits. */
export function checkInt(value: number, least: number, most: number, name: string): void {
  if ((value | 0) !== value || value < least || value > most) {
    refuse(value, name, `an integer in ${least} … ${most}`);
  }
}
