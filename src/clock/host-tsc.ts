/**
 * The host's TSC: its frequency for each CPU, and whether it went backwards while the host slept.
 *
 * Source: `get_cpu_tsc_khz()`, `kvm_arch_enable_virtualization_cpu()` (before v6.12
 * `kvm_arch_hardware_enable()`) and the cpufreq and CPU hotplug callbacks, arch/x86/kvm/x86.c.
 */
import type { Switches } from '../profiles/index.ts';
import { type HostRecipe, inputOf } from './context.ts';
import { type HostState, MAX_HOST_CPUS } from './host-state.ts';

/**
 * The TSC frequency KVM reckons with on a host CPU, kHz; 0 while it is offline.
 *
 * Until v6.1 always the CPU's copy, made when KVM was loaded or the CPU came online, which can
 * differ from `tsc_khz` for good when the frequency was refined later.
 */
export function hostTscKhz(host: Readonly<HostState>, cpu: number, switches: Switches): number {
  if (switches.tscKhzSource === 'tsc-khz' && host.constantTsc) return host.tscKhz;
  return cpu >= 0 && cpu < MAX_HOST_CPUS ? host.cpuTscKhz.get(cpu) : 0;
}

/** `kvm_caps.has_tsc_control`: the hardware scales TSCs, and KVM uses it on such a host. */
export const hasTscControl = (host: Readonly<HostState>, switches: Switches): boolean =>
  host.hasTscControl && (host.constantTsc || !switches.scalingNeedsConstantTsc);

const cpuOf = (ctx: Parameters<HostRecipe>[1]): number =>
  inputOf(ctx, 'cpufreq', 'cpu_offline', 'cpu_online', 'resume').cpu;

export const hostTscRecipes = {
  setCpuKhz: (self, ctx) => {
    self.cpuTscKhz.set(cpuOf(ctx), inputOf(ctx, 'cpufreq').khz);
  },
  cpuGone: (self, ctx) => {
    self.cpuTscKhz.set(cpuOf(ctx), 0);
  },
  cpuCame: (self, ctx) => {
    if (self.cpuTscKhz.get(cpuOf(ctx)) === 0) self.cpuTscKhz.set(cpuOf(ctx), self.tscKhz);
  },
  forgetLargestTsc: (self) => {
    self.largestLastHostTsc = 0n;
    self.tscDeficit = 0n;
  },
  gatherLargestTsc: (self, ctx) => {
    if (ctx.vcpu.lastHostTsc > self.largestLastHostTsc) {
      self.largestLastHostTsc = ctx.vcpu.lastHostTsc;
    }
  },
  compareTsc: (self, ctx) => {
    const local = ctx.read('enable.tsc');
    self.tscDeficit = self.largestLastHostTsc > local ? self.largestLastHostTsc - local : 0n;
  },
  noteBackwardsTsc: (self) => {
    self.backwardsTscObserved = true;
  },
} satisfies Record<string, HostRecipe>;
