/** What an ioctl on a vCPU returns, and gives besides. */
import type { ObservationOf } from '../../events/index.ts';
import type { Ctx } from './context.ts';
import type { VcpuState } from './vcpu-state.ts';

type Given = Omit<ObservationOf<'ioctl_result'>, 'type' | 'vm' | 'vcpu' | 'name' | 'ret'>;

/** The ioctl that the input is returns `ret`: minus an errno, 0, or a number asked for. */
export function answerVcpu(
  self: Readonly<VcpuState>,
  ret: number,
  ctx: Ctx,
  given: Given = {},
): void {
  const { type: name } = ctx.input;
  ctx.out.emit({ type: 'ioctl_result', vcpu: self.vcpuId, name, ret, ...given, vm: ctx.vmId });
}
