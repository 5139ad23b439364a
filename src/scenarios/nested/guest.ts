/** L1, a hypervisor in a VM, and what it does with its own guest, L2. */
import type { ObservationOf } from '../../../events/index.ts';
import type { Dispatched } from '../../engine/index.ts';
import { asU64, defaultTscRatio } from '../../num/index.ts';
import type { SimulatedVm } from '../guest.ts';
import { cycles } from '../params.ts';
import type { Simulation } from '../simulation.ts';

const MOST = String((1n << 62n) - 1n);

export const l2Offset = (preset = '-33125236320908') =>
  cycles(preset, 'from L1’s TSC to L2’s', { least: `-${MOST}`, most: MOST });

/** What L1 asks for. */
export interface Entry {
  readonly tscOffset: bigint;
  readonly tscMultiplier?: bigint;
  readonly eventInj?: number;
  readonly badGuestState?: boolean;
}

/** How an attempt to run L2 ended. */
export type Entered = Pick<ObservationOf<'nested_result'>, 'outcome' | 'code'>;

function resultOf({ observations }: Dispatched): Entered {
  const result = observations.find((seen) => seen.type === 'nested_result');
  if (result?.type !== 'nested_result') throw new TypeError('expected a nested entry');
  return { outcome: result.outcome, code: result.code };
}

/** L1 runs L2; whoever runs then goes on. */
export function enterL2(vm: SimulatedVm, { tscOffset, ...entry }: Entry): Entered {
  vm.exit(0);
  const result = resultOf(
    vm.on(0, { type: 'kvm_nested_vmenter', tscOffset: asU64(tscOffset), ...entry }),
  );
  vm.enter(0);
  return result;
}

/** L2 leaves for L1. */
export function leaveL2(vm: SimulatedVm): void {
  vm.exit(0);
  vm.on(0, { type: 'kvm_nested_vmexit' });
  vm.enter(0);
}

/** `parts` thousandths as a ratio of the host's TSC scaling, rounded down. */
export const ratioOf = ({ world }: Simulation, parts: number): bigint =>
  (defaultTscRatio(world.host.tscScalingRatioFracBits) * BigInt(parts)) / 1000n;
