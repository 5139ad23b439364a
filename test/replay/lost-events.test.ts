import { describe, expect, test } from 'vitest';
import { at, BORN, MS, of, pageAt, SECOND, vm } from './small-vm.ts';

const LOST = 'CPU:0 [LOST 42 EVENTS]';

/** A VM of two vCPUs with pages of one reference; then events are lost. */
const twoThenLost = () =>
  vm()
    .offset(at(12n), 0n, -BORN, 1, SECOND)
    .page(at(13n), { vcpu: 1, ...pageAt(9n) }, SECOND)
    .entry(at(14n), 1, SECOND)
    .exit(at(15n), 1, SECOND)
    .line(LOST);

describe('lost events', () => {
  test('a gap makes the next page unmeasured, unless its version and its TSC show that nothing was missed', async () => {
    const missed = vm()
      .line(LOST)
      .page(at(20n), { ...pageAt(20n, 5_000n), version: 8 })
      .entry(at(21n));
    expect(await of(missed, 'jump', 'gap', 'unmeasured')).toMatchObject([
      { rule: 'gap', cause: '42 events lost' },
      { rule: 'unmeasured' },
    ]);
    const complete = vm()
      .line(LOST)
      .masterclock(at(20n), 1)
      .page(at(20n) + 100n, { ...pageAt(20n, 5_000n), version: 4 })
      .entry(at(21n));
    expect(await of(complete, 'jump', 'unmeasured')).toMatchObject([{ deltaNs: 5_000n }]);
    const updateMissed = vm()
      .line(LOST)
      .page(at(20n), { ...pageAt(20n, 5_000n), version: 4 })
      .entry(at(21n));
    expect(await of(updateMissed, 'jump', 'unmeasured')).toMatchObject([{ rule: 'unmeasured' }]);
  });

  test('an offset that was written in the gap invents no jump, then or when it is written again', async () => {
    const seconds = 3_000n * MS;
    const moved = { ...pageAt(20n), tsc: 20n * MS + seconds };
    const trace = vm()
      .line(LOST)
      .masterclock(at(20n), 1)
      .page(at(20n) + 100n, { ...moved, version: 4 })
      .entry(at(21n))
      .exit(at(22n))
      .offset(at(30n), -BORN + seconds, -BORN)
      .masterclock(at(30n), 1)
      .page(at(30n) + 100n, { ...pageAt(30n, 200n), version: 6 })
      .entry(at(31n));
    expect(await of(trace, 'jump', 'tsc-jump', 'unmeasured')).toMatchObject([
      { rule: 'unmeasured', tsc: at(21n) },
      { rule: 'jump', deltaNs: 200n },
    ]);
  });

  test('an offset that may have been written in the gap is not taken for a step of its size', async () => {
    const cycles = 800_000n;
    const trace = vm()
      .line(LOST)
      .masterclock(at(20n), 1)
      .page(at(20n) + 100n, { ...pageAt(20n), tsc: 20n * MS + cycles, version: 4 })
      .entry(at(21n));
    expect(await of(trace, 'jump', 'unmeasured')).toMatchObject([{ rule: 'unmeasured' }]);
  });

  test('a page from before the gap, or a second one after it, proves nothing', async () => {
    const seconds = 3_000n * MS;
    const before = vm()
      .masterclock(at(12n), 1)
      .page(at(12n) + 100n, { ...pageAt(12n), version: 4 })
      .line(LOST)
      .entry(at(20n))
      .exit(at(21n))
      .masterclock(at(22n), 1)
      .page(at(22n) + 100n, { ...pageAt(22n, 5_000n), version: 12 })
      .entry(at(23n));
    expect(await of(before, 'jump', 'unmeasured')).toMatchObject([{ rule: 'unmeasured' }]);
    const moved = (ms: bigint) => ({ ...pageAt(ms), tsc: ms * MS + seconds });
    const second = vm()
      .line(LOST)
      .masterclock(at(20n), 1)
      .page(at(20n) + 100n, { ...moved(20n), version: 8 })
      .masterclock(at(21n), 1)
      .page(at(21n) + 100n, { ...moved(21n), version: 10 })
      .entry(at(22n));
    expect(await of(second, 'jump', 'unmeasured')).toMatchObject([{ rule: 'unmeasured' }]);
  });

  test('a write of the TSC after the gap, under a page that may be another by then, is unmeasured', async () => {
    const trace = vm()
      .line(LOST)
      .offset(at(20n), -BORN, -BORN + 3_000n * MS)
      .entry(at(21n));
    expect(await of(trace, 'tsc-jump', 'unmeasured')).toMatchObject([
      { rule: 'unmeasured', cause: 'its TSC moved by +6,000,000,000 cycles' },
    ]);
  });

  test('an offset in doubt is known again by a page that fits it', async () => {
    const two = twoThenLost()
      .masterclock(at(40n), 1)
      .page(at(40n) + 100n, { ...pageAt(40n), version: 4 })
      .entry(at(41n))
      .page(at(41n) + 100n, { vcpu: 1, ...pageAt(40n, 7_000n), version: 4 }, SECOND)
      .entry(at(42n), 1, SECOND);
    expect(await of(two, 'cross-vcpu')).toMatchObject([{ vcpu: 1, deltaNs: 7_000n }]);
  });

  test('vCPUs whose pages may be of several epochs since are not held against each other', async () => {
    const trace = twoThenLost()
      .page(at(20n), { ...pageAt(20n, 5_000n), version: 4 })
      .entry(at(21n))
      .entry(at(22n), 1, SECOND);
    expect(await of(trace, 'cross-vcpu', 'stale')).toEqual([]);
  });
});
