/**
 * Every switch, and every value of it, shows in some history, and what shows is what was worked out
 * for it. A switch that nothing read would show the same with each of its values.
 */
import { describe, expect, it, test } from 'vitest';
import { SWITCH_NAMES, SWITCHES, type SwitchName } from '../../src/profiles/index.ts';
import { CLOCK_SHOWINGS } from './clock.ts';
import { HOST_SHOWINGS } from './host.ts';
import { MASTERCLOCK_SHOWINGS } from './masterclock.ts';
import { PAGE_SHOWINGS } from './page.ts';
import { type Showing, seenWith } from './showing.ts';
import { SYNC_SHOWINGS } from './sync.ts';
import { TSC_SHOWINGS } from './tsc.ts';

const SHOWINGS: readonly Showing[] = [
  ...CLOCK_SHOWINGS,
  ...HOST_SHOWINGS,
  ...MASTERCLOCK_SHOWINGS,
  ...PAGE_SHOWINGS,
  ...SYNC_SHOWINGS,
  ...TSC_SHOWINGS,
];

const shown = SWITCH_NAMES.map(
  (name) => [name, SHOWINGS.filter((showing) => showing.name === name)] as const,
).filter(([, showings]) => showings.length > 0);

describe.each(shown)('%s', (_name, showings) => {
  const cases = showings.flatMap((showing) =>
    showing.expected.map(([value, seen]) => [String(value), showing.what, showing, seen] as const),
  );
  it.each(cases)('%s: %s', (value, _what, showing, seen) => {
    const [given] = showing.expected.find(([v]) => String(v) === value)!;
    expect(seenWith(showing, given)).toEqual(seen);
  });
});

/** Values that no history can tell apart, and why. */
const ALIKE: Partial<Record<SwitchName, string>> = {
  pvPageWrite: 'both move a version by 2 from an even one and by 3 from an odd one',
  periodicSync: 'per-vcpu and first-vcpu: the work that vCPU 0 armed stays armed for good',
};

/** What shows with Xen's and nested guests and with timers, which tests of their own are about. */
const ELSEWHERE: readonly SwitchName[] = [
  'nestedScaling',
  'xenTimer',
  'xenTimerPast',
  'xenRunstate',
  'xenRunstateClamp',
  'xenCpuidLeaf',
  'eventInjCheck',
  'stealPreempted',
];

const text = (seen: unknown): string =>
  JSON.stringify(seen, (_key, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value));

/** Whether some history shows two values of a switch differently. */
function tells(name: SwitchName, a: unknown, b: unknown): boolean {
  return SHOWINGS.filter((showing) => showing.name === name).some(({ expected }) => {
    const seen = (value: unknown) => expected.find(([v]) => v === value)?.[1];
    const [one, other] = [seen(a), seen(b)];
    return one !== undefined && other !== undefined && text(one) !== text(other);
  });
}

test('every two values of a switch differ in some history, or are named as alike', () => {
  const alike = SWITCH_NAMES.filter((name) => !ELSEWHERE.includes(name)).flatMap((name) => {
    const values: readonly unknown[] = SWITCHES[name].values;
    return values.flatMap((a, i) =>
      values.slice(i + 1).flatMap((b) => (tells(name, a, b) ? [] : [`${name}: ${a} ${b}`])),
    );
  });
  expect(alike).toEqual(['periodicSync: per-vcpu first-vcpu', 'pvPageWrite: three-writes or-one']);
  expect(Object.keys(ALIKE)).toEqual(['pvPageWrite', 'periodicSync']);
});
