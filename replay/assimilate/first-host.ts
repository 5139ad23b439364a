/** The host of a recording before the recording has shown anything of it. */
import { type HostState, MAX_HOST_CPUS } from '../../src/clock/index.ts';
import { makeHost } from '../../src/engine/host-options.ts';

/** Stands for the frequency until the first page tells it; no host has it. */
const SUPPOSED_KHZ = 1_000_003;

export const firstHost = (tscKhz = SUPPOSED_KHZ): HostState =>
  makeHost({ tscKhz, vendor: 'vmx', hasTscControl: false, cpus: MAX_HOST_CPUS });
