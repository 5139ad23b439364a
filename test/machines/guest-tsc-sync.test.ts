/** A Linux guest compares TSCs when it brings a CPU up. */
import { expect, test } from 'vitest';
import { MSRS } from '../../events/index.ts';
import { Guest } from '../../src/engine/index.ts';

const adjusted = (data: bigint) => ({ index: MSRS.IA32_TSC_ADJUST, data });

test('a TSC that is not behind is left alone', () => {
  const guest = new Guest();
  expect(guest.bringUp(1, 1000n, 1000n)).toBeUndefined();
  expect(guest.bringUp(2, 1001n, 1000n)).toBeUndefined();
  expect(guest.state.tscSync).toBe('synchronised');
});

test('one that is behind is moved on by as much, each time', () => {
  const guest = new Guest();
  expect(guest.bringUp(1, 400n, 1000n)).toEqual(adjusted(600n));
  expect(guest.state.tscSync).toBe('adjusted');
  expect(guest.bringUp(1, 990n, 1000n)).toEqual(adjusted(610n));
  expect(guest.bringUp(2, 999n, 1000n)).toEqual(adjusted(1n));
  // A TSC wraps as it counts.
  expect(guest.bringUp(3, 2n ** 64n - 5n, 5n)).toEqual(adjusted(10n));
});

test('without TSC_ADJUST the TSC fails', () => {
  const guest = new Guest({ cpuidTscAdjust: false });
  expect(guest.bringUp(1, 400n, 1000n)).toBeUndefined();
  expect(guest.state.tscSync).toBe('failed');
});

test('TSC_RELIABLE: nothing is compared', () => {
  const guest = new Guest({ tscReliable: true });
  expect(guest.bringUp(1, 400n, 1000n)).toBeUndefined();
  expect(guest.state.tscSync).toBe('skipped');
  expect(guest.state.tscAdjust.get(1)).toBe(0n);
});

test('it is persisted', () => {
  const guest = new Guest();
  guest.bringUp(1, 400n, 1000n);
  const other = new Guest({ from: JSON.parse(JSON.stringify(guest.persist())) });
  expect(other.bringUp(1, 990n, 1000n)).toEqual(adjusted(610n));
});

test.each([64, -1, 0.5, Number.NaN])('vCPU %s is refused, and the guest goes on', (vcpu) => {
  const guest = new Guest();
  guest.register(0, 0x1000n);
  expect(() => guest.bringUp(vcpu, 5n, 9n)).toThrow(/expected a vCPU below 64, found/);
  expect(() => guest.tick(vcpu, 1n)).toThrow(/expected a vCPU below 64, found/);
  expect(() => guest.enableSteal(vcpu, 0n)).toThrow(/expected a vCPU below 64, found/);
  expect(guest.read(0, 5n)).toBe(0n);
  expect(guest.bringUp(63, 5n, 9n)).toEqual(adjusted(4n));
});
