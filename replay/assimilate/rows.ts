/** What rows of a batch say, as the assimilator takes it. */
import { type EventBatch, NARROW_COLUMNS } from '../../events/index.ts';
import { MASTERCLOCK, TRACK } from '../slots.ts';
import type { When } from './driver.ts';
import type { SeenTrack } from './tsc-writes.ts';

/** A recorded `kvm_update_master_clock`. */
export interface SeenUpdate {
  readonly use: boolean;
  readonly hostClock: number;
  readonly matched: boolean;
}

export const whenOf = (batch: EventBatch, row: number): When => ({
  ticks: batch.timestamps[row]!,
  cpu: batch.cpus[row]!,
});

/** A `kvm_update_master_clock`. */
export function updateOf({ narrows }: EventBatch, row: number): SeenUpdate {
  const narrow = row * NARROW_COLUMNS;
  return {
    use: narrows[narrow + MASTERCLOCK.use] === 1,
    hostClock: narrows[narrow + MASTERCLOCK.hostClock]! >>> 0,
    matched: narrows[narrow + MASTERCLOCK.matched] === 1,
  };
}

/** A `kvm_track_tsc`. */
export function trackOf({ narrows, timestamps }: EventBatch, row: number): SeenTrack {
  const narrow = row * NARROW_COLUMNS;
  return {
    vcpuId: narrows[narrow + TRACK.vcpu]! >>> 0,
    matched: narrows[narrow + TRACK.matched]! >>> 0,
    online: narrows[narrow + TRACK.online]! >>> 0,
    use: narrows[narrow + TRACK.use] === 1,
    hostClock: narrows[narrow + TRACK.hostClock]! >>> 0,
    ticks: timestamps[row]!,
  };
}
