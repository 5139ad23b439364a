/**
 * How a scaled guest's clock and KVM's own reckoning of it part.
 *
 * The guest counts its own TSC by the scale in its page; KVM (`get_kvmclock_ns()`) counts the host's
 * by a scale made from the host's frequency. Both begin at the masterclock's reference.
 */
import type { HostState, VcpuState } from '../../clock/index.ts';
import { NSEC_PER_SEC, scaleDelta, scaleTsc, timeScale } from '../../num/index.ts';

/** Two scales from host cycles to ns. */
export class Drift {
  readonly #vcpu: Readonly<VcpuState>;
  readonly #host: Readonly<HostState>;

  /** @param vcpu - with a page, from which its scale is. */
  constructor(vcpu: Readonly<VcpuState>, host: Readonly<HostState>) {
    this.#vcpu = vcpu;
    this.#host = host;
  }

  /** By how much the guest's clock is ahead so many host cycles after the reference, ns. */
  aheadNs(cycles: bigint): bigint {
    const { l1TscScalingRatio, pvclockTscMul, pvclockTscShift } = this.#vcpu;
    const { tscKhz, tscScalingRatioFracBits } = this.#host;
    const guestCycles = scaleTsc(cycles, l1TscScalingRatio, tscScalingRatioFracBits);
    const { mul, shift } = timeScale(NSEC_PER_SEC, BigInt(tscKhz) * 1000n);
    const guestNs = scaleDelta(guestCycles, pvclockTscMul, pvclockTscShift);
    return guestNs - scaleDelta(cycles, mul, shift);
  }

  /** After how many host cycles it is ahead by so much; `undefined` if not in `most` cycles. */
  cyclesUntil(aheadNs: bigint, most: bigint): bigint | undefined {
    if (this.aheadNs(most) < aheadNs) return undefined;
    let [least, enough] = [0n, most];
    while (enough - least > 1n) {
      const middle = (least + enough) >> 1n;
      if (this.aheadNs(middle) < aheadNs) least = middle;
      else enough = middle;
    }
    return enough;
  }
}
