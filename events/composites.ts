/**
 * What a VMM does in one go: composite events, declared once.
 *
 * A VMM's policy expands each of them into inputs (`inputs.ts`); what was done keeps both. Instants
 * belong to the inputs alone.
 */
import type { ValueSpec, ValueSpecs, ValuesOf } from './model-spec.ts';

/** One kind of composite event. */
interface CompositeSpec {
  readonly doc: string;
  readonly fields: ValueSpecs;
}

const none = {} as const;
const vcpu = { type: 'u32', doc: 'vCPU id' } as const satisfies ValueSpec;

const spec = <const T extends Record<string, CompositeSpec>>(table: T): T => table;

export const COMPOSITES = spec({
  launch: {
    doc: 'The VMM creates its VM, which has no vCPUs yet and does not run.',
    fields: {
      tscKhz: {
        type: 'u32',
        doc: 'frequency for all vCPUs, kHz; left out: the host’s own',
        optional: true,
      },
    },
  },
  hotplug: {
    doc: 'A vCPU is plugged in, before the guest runs or while it does; a parked one is used again.',
    fields: { vcpu, cpu: { type: 'u32', doc: 'host CPU its thread runs on' } },
  },
  unplug: {
    doc: 'A vCPU is unplugged. KVM cannot remove it: it is parked for the next hotplug of its id.',
    fields: { vcpu },
  },
  pause: { doc: 'The user stops the guest.', fields: none },
  resume: {
    doc: 'The guest runs: for the first time, after a pause, or where it was restored.',
    fields: none,
  },
  snapshot: {
    doc: 'The guest is stopped, its state saved, and it goes on if it ran before.',
    fields: none,
  },
  migration: {
    doc: 'One side of a migration: the source stops and saves, the destination restores and runs.',
    fields: {
      incoming: { type: 'bool', doc: 'at the destination' },
      taiOffset: {
        type: 's32',
        doc: 'CLOCK_TAI − CLOCK_REALTIME here, s; left out: times of both hosts compare as they are',
        optional: true,
      },
    },
  },
});

/** Name of a composite event. */
export type CompositeType = keyof typeof COMPOSITES;

/** A composite event of kind `T`. */
export type CompositeOf<T extends CompositeType> = { readonly type: T } & ValuesOf<
  (typeof COMPOSITES)[T]['fields']
>;

/** Anything a VMM does in one go. `switch (event.type)` narrows it. */
export type Composite = { [T in CompositeType]: CompositeOf<T> }[CompositeType];
