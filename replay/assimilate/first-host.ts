/** The host of a recording before the recording has shown anything of it. */
import { type HostState, MAX_HOST_CPUS } from '../../src/clock/index.ts';
import { makeHost } from '../../src/engine/host-options.ts';

/** Stands for the frequency until the first page tells it; no host has it. */
const SUPPOSED_KHZ = 1_000_003;

/**
 * Nothing tells the vendor. SVM's new vCPUs ask for more at their first load up to v5.15 (`vmxCreateSetsCpu`),
 * and what nobody turns out to have asked for is no divergence, while what nobody asked for is one.
 */
export const firstHost = (tscKhz = SUPPOSED_KHZ): HostState =>
  makeHost({ tscKhz, vendor: 'svm', hasTscControl: false, cpus: MAX_HOST_CPUS });
