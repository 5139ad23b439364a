import { describe, expect, test } from 'vitest';
import { Rig, split } from '../selftests/rig.ts';

const SYNC = 'kvmclock_sync_work';
const UPDATE = 'kvmclock_update_work';
const armed = (rig: Rig, name: string) =>
  rig.observed.filter((seen) => seen.type === 'timer_armed' && seen.name === name);

const { holds } = split(({ periodicSync }) => periodicSync !== 'none');

describe('the periodic work', () => {
  test.each(holds)('%s: is armed once, however many vCPUs there are', (id) => {
    // schedule_delayed_work() leaves alone what is queued already.
    expect(armed(new Rig(id).createVm(3), SYNC)).toHaveLength(1);
  });

  test.each(holds)('%s: has the other work run at once, and itself again in 300 s', (id) => {
    const rig = new Rig(id).boot(1);
    if (rig.vm.updateWork === 'queued') rig.do(UPDATE, {});
    rig.observed.length = 0;
    rig.do(SYNC, {});
    expect(armed(rig, UPDATE)).toEqual([expect.objectContaining({ delayNs: 0n })]);
    expect(armed(rig, SYNC)).toEqual([expect.objectContaining({ delayNs: 300_000_000_000n })]);
  });
});
