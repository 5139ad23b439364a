/** What a Xen guest finds in its memory: pvclock pages and shared_info's wall clock, as KVM wrote them. */
import { GuestMemory } from '../../engine/index.ts';
import {
  decodePvclockPage,
  NSEC_PER_SEC,
  PVCLOCK_GUEST_STOPPED,
  PVCLOCK_PAGE_BYTES,
  PVCLOCK_TSC_STABLE_BIT,
  type PvclockPage,
} from '../../num/index.ts';
import type { Simulation } from '../simulation.ts';

/** Where shared_info has its wall clock and the high half of its seconds. */
const WALL_CLOCK = {
  '64-bit': { at: 0xc00n, secHi: 0xc0cn },
  '32-bit': { at: 0x900n, secHi: 0x924n },
} as const;

/** A guest's mode, which lays shared_info out. */
export type Mode = keyof typeof WALL_CLOCK;

/** `struct pvclock_wall_clock`, with Xen's seconds of 64 bits. */
interface WallClock {
  readonly version: number;
  /** CLOCK_REALTIME when the guest's clock was 0, ns. */
  readonly epochNs: bigint;
}

/** The memory of a simulation's guests, which must not share addresses. */
export class XenMemory {
  readonly #memory = new GuestMemory();

  constructor(sim: Simulation) {
    sim.watch((seen) => {
      if (seen.type === 'guest_write') this.#memory.write(seen.gpa, seen.bytes);
    });
  }

  /** The pvclock page at an address; its version is 0 where none was written. */
  page(gpa: bigint): PvclockPage {
    return decodePvclockPage(this.#memory.read(gpa, PVCLOCK_PAGE_BYTES));
  }

  /** The wall clock in the shared_info at an address. */
  wallClock(sharedInfo: bigint, mode: Mode): WallClock {
    const { at, secHi } = WALL_CLOCK[mode];
    const u32 = (gpa: bigint): number =>
      new DataView(this.#memory.read(sharedInfo + gpa, 4).buffer).getUint32(0, true);
    const sec = (BigInt(u32(secHi)) << 32n) | BigInt(u32(at + 4n));
    return { version: u32(at), epochNs: sec * NSEC_PER_SEC + BigInt(u32(at + 8n)) };
  }
}

/** A page in a few words: `2 STABLE`. */
export function pageText({ version, flags }: PvclockPage): string {
  if (version === 0) return 'none';
  const names = [
    ...((flags & PVCLOCK_TSC_STABLE_BIT) === 0 ? [] : ['STABLE']),
    ...((flags & PVCLOCK_GUEST_STOPPED) === 0 ? [] : ['STOPPED']),
  ];
  return [version, ...names].join(' ');
}
