// What the torture test writes: every entry follows from its number, so that whoever reads a log knows
// what has to be in it.

/** A number that looks random, from two numbers: splitmix32. */
export function scramble(seed, n) {
  let z = (seed + Math.imul(n + 1, 0x9e37_79b9)) >>> 0;
  z = Math.imul(z ^ (z >>> 16), 0x21f0_aaad);
  z = Math.imul(z ^ (z >>> 15), 0x735a_2d97);
  return (z ^ (z >>> 15)) >>> 0;
}

/** Entries come in blocks of so many; every fourth is of large ones and appended in one piece. */
const BLOCK = 1024;

const isLarge = (n) => Math.floor(n / BLOCK) % 4 === 1;

/** Text that makes an entry large: most of an append's time is then spent in writing. */
const TEXT = 'x'.repeat(4096);

/** The entry of that number. */
export function entryAt(seed, n) {
  const tsc = BigInt(n) * 1000n;
  const dice = scramble(seed, n);
  const names = { tsc, vm: dice & 3, vcpu: (dice >>> 2) & 7 };
  if (isLarge(n)) return { kind: 'gap', tsc, reason: TEXT };
  if (dice % 2 === 0) return { kind: 'input', input: { type: 'kvm_entry', ...names } };
  const offset = BigInt(dice) << 31n;
  return { kind: 'input', input: { type: 'KVM_SET_TSC_OFFSET', ...names, offset } };
}

/** How many entries the append that begins with entry `n` has. */
export function sizeAt(seed, n) {
  if (isLarge(n)) return BLOCK - (n % BLOCK);
  return scramble(seed ^ 0x5bd1_e995, n) % 8 === 0 ? 100 : 20;
}

/** The header of every log of the torture test. */
export const HEADER = { profile: 'v6.1', switches: {}, host: {}, options: { maker: 'torture' } };
