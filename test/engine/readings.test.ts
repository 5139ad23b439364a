/** A clock is read once in an input, whoever asks for it, and what nobody tells is counted. */
import { expect, it } from 'vitest';
import type { ReadingName } from '../../events/index.ts';
import { Teller } from './directed.ts';

/** A VM with its masterclock on. */
function booted(): Teller {
  const t = new Teller('v6.8').boot(1);
  t.run(0, { type: 'wrmsr', index: 0x4b56_4d01, data: 0x1001n });
  expect(t.world.vms.get(0)!.cell.state.masterclock).toBe('on');
  return t;
}

it('asks its source for a clock once', () => {
  const t = booted();
  const asked: ReadingName[] = [];
  const input = t.wait(1000n).complete({ type: 'KVM_GET_CLOCK', cpu: 0 });
  const { observations } = t.world.dispatch(input, (name) => {
    asked.push(name);
    return name === 'getClock.tsc' ? input.tsc + BigInt(asked.length) : undefined;
  });
  expect(asked).toEqual(['getClock.tsc', 'realtime.ns']);
  expect(observations).toMatchObject([{ type: 'ioctl_result', hostTsc: input.tsc + 1n }]);
  expect(t.world.derived.get('getClock.tsc')).toBeUndefined();
  expect(t.world.derived.get('realtime.ns')).toBe(1);
});

it('derives what nobody tells, and counts it', () => {
  const t = booted();
  const before = t.world.derived.get('exit.tsc');
  expect(before).toBe(1);
  const [dispatched] = t.tell({ type: 'KVM_GET_CLOCK', cpu: 0 });
  expect(dispatched!.observations).toMatchObject([{ type: 'ioctl_result', hostTsc: t.tsc }]);
  t.run(0);
  expect(t.world.derived.get('exit.tsc')).toBe(2);
  expect(t.world.derived.get('getClock.tsc')).toBe(1);
});
