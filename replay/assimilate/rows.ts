/** What rows of a batch say, as the assimilator takes it. */
import { type EventBatch, NARROW_COLUMNS } from '../../events/index.ts';
import type { Vcpu } from '../identity/vm.ts';
import { MASTERCLOCK, TRACK } from '../slots.ts';
import type { When } from './driver.ts';

/** A recorded `kvm_update_master_clock`. */
export interface SeenUpdate {
  readonly use: boolean;
  readonly hostClock: number;
  readonly matched: boolean;
}

/** A recorded `kvm_track_tsc`. */
export interface SeenTrack {
  readonly vcpuId: number;
  readonly matched: number;
  readonly online: number;
  readonly use: boolean;
  readonly hostClock: number;
  readonly ticks: bigint;
}

/** A recorded `kvm_write_tsc_offset`, and the `kvm_track_tsc` that followed it. */
export interface SeenWrite {
  readonly vcpu: Vcpu;
  readonly previous: bigint;
  readonly next: bigint;
  readonly when: When;
  track: SeenTrack | undefined;
}

/** How many tracepoints a write showed. */
export const tracepointsOf = ({ track }: SeenWrite): number => (track === undefined ? 1 : 2);

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
