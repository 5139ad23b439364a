import { describe, expect, test } from 'vitest';
import { replayText } from './fixtures.ts';
import { at, BASE_NS, BORN, MS, of, pageAt, vm } from './small-vm.ts';
import { TraceText } from './trace-text.ts';

/** What a review or a user found, once each. */

describe('regressions', () => {
  test('an offset write after a loss does not make the page known again', async () => {
    const trace = vm()
      .page(at(12n), { ...pageAt(12n), version: 4 })
      .entry(at(13n))
      .line('CPU:0 [LOST 12 EVENTS]')
      .offset(at(15n), -BORN, -BORN)
      .entry(at(16n))
      .page(at(20n), { ...pageAt(20n, 5_000_000n), version: 8 })
      .entry(at(21n));
    expect(await of(trace, 'jump', 'tsc-jump', 'unmeasured')).toMatchObject([
      { rule: 'unmeasured', tsc: at(21n) },
    ]);
  });

  test('an offset that was changed while events were lost is no jump', async () => {
    const trace = vm()
      .line('CPU:0 [LOST 12 EVENTS]')
      .offset(at(15n), 4_000n * MS, 4_000n * MS + 100n)
      .entry(at(16n));
    expect(await of(trace, 'jump', 'tsc-jump')).toEqual([]);
  });

  test('a wrap is one at any frequency', async () => {
    // 4.5 GHz: 2^64 cycles are less than 2^62 ns.
    const scale = { mul: 3817748708, shift: -2 };
    const trace = new TraceText()
      .offset(BORN, 0n, -BORN)
      .page(at(10n), { tsc: 9n * MS, ns: BASE_NS, ...scale })
      .entry(at(10n) + 1n)
      .exit(at(11n))
      .offset(at(20n), -BORN, -BORN - 50n * MS)
      .entry(at(21n));
    const [jump] = await of(trace, 'tsc-jump');
    expect(jump!.severity).toBe('error');
    expect(jump!.reason).toContain('wraps');
    expect(jump!.reason).not.toContain('Linux waits');
  });

  test('a second update with the same reference tells the guest that it was stopped', async () => {
    const trace = vm()
      .page(at(20n), { ...pageAt(20n), version: 4 })
      .page(at(20n) + 5n, { ...pageAt(20n), version: 6, flags: 3 })
      .entry(at(21n));
    expect(await of(trace, 'flags')).toMatchObject([{ cause: 'PVCLOCK_GUEST_STOPPED set' }]);
  });

  test('a page of Xen’s without STABLE does not take the masterclock away', async () => {
    const trace = vm()
      .page(at(20n), { ...pageAt(20n), version: 4 })
      .page(at(20n) + 5n, { ...pageAt(20n), version: 24, flags: 0 })
      .entry(at(21n));
    expect(await of(trace, 'masterclock-lost')).toEqual([]);
  });

  test('a scale that stands for no frequency is no crash', async () => {
    const odd = { mul: 1, shift: 31 };
    const trace = new TraceText()
      .offset(BORN, 0n, -BORN)
      .page(at(10n), { ...pageAt(10n), ...odd })
      .entry(at(11n))
      .page(at(20n), { ...pageAt(20n), ...odd, version: 4 })
      .entry(at(21n));
    await expect(replayText(String(trace))).resolves.toBeDefined();
  });

  test('a shift that no kernel writes makes the page unknown', async () => {
    const trace = vm()
      .page(at(20n), { ...pageAt(20n), shift: 100, version: 4 })
      .entry(at(21n))
      .page(at(30n), { ...pageAt(30n, 5_000n), version: 6 })
      .entry(at(31n));
    expect(await of(trace, 'jump')).toEqual([]);
  });

  test('a step too large for its time is a clock that was set', async () => {
    const trace = vm()
      .page(at(20n), { ...pageAt(20n, 5_000_000_000n), version: 4 })
      .entry(at(21n));
    expect(await of(trace, 'jump')).toMatchObject([{ mechanism: 'unseen-set' }]);
  });
});
