/**
 * The wall clock a guest asks for once: the instant at which its kvmclock was 0.
 *
 * Source: `kvm_write_wall_clock()`, `kvm_get_wall_clock_epoch()`, arch/x86/kvm/x86.c.
 */
import { asU64, subU64 } from '../num/index.ts';
import { type Ctx, inputOf, type VmRecipe } from './context.ts';
import { hostTscKhz } from './host-tsc.ts';
import { clockAtHostTsc, clockOfHost, clockThroughGuest, getKvmclock } from './vm-clock.ts';
import type { VmState } from './vm-state.ts';

const NSEC_PER_SEC = 1_000_000_000n;

/** CLOCK_REALTIME when the VM's kvmclock was 0, ns. */
function wallClockEpochNs(vm: Readonly<VmState>, ctx: Ctx): bigint {
  if (ctx.switches.wallClock === 'boottime') {
    return subU64(ctx.host.offsReal - ctx.host.offsBoot, vm.kvmclockOffset);
  }
  if (ctx.switches.wallClock === 'guest-scale') {
    const now = clockThroughGuest(vm, ctx);
    if (now !== undefined) return subU64(ctx.read('realtime.ns'), now);
    return subU64(ctx.read('wallClock.ns'), clockOfHost(vm, ctx));
  }
  const khz = hostTscKhz(ctx.host, Math.max(0, ctx.vcpu.cpu), ctx.switches);
  if (ctx.switches.wallClock === 'single-tsc' && vm.masterclock === 'on' && khz !== 0) {
    const now = clockAtHostTsc(vm, ctx.read('getClock.tsc'), khz);
    return subU64(ctx.read('realtime.ns'), now);
  }
  return subU64(ctx.read('wallClock.ns'), getKvmclock(vm, ctx).clock);
}

/** `struct pvclock_wall_clock`: version, seconds, nanoseconds. */
function encode(vm: Readonly<VmState>, byteLength: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(12));
  view.setUint32(0, vm.wallClockVersion, true);
  view.setUint32(4, vm.wallClockSec, true);
  view.setUint32(8, vm.wallClockNsec, true);
  return new Uint8Array(view.buffer, 0, byteLength);
}

function write(self: Readonly<VmState>, byteLength: number, ctx: Ctx): void {
  ctx.out.emit({
    type: 'guest_write',
    gpa: self.wallClockGpa,
    bytes: encode(self, byteLength),
    what: 'wall_clock',
  });
}

export const wallClockRecipes = {
  /** Written at once, under an odd version. */
  writeWallClock: (self, ctx) => {
    const { data } = inputOf(ctx, 'wrmsr', 'KVM_SET_MSRS');
    if (data !== self.wallClockGpa) self.wallClockVersion = 0;
    self.wallClockGpa = data;
    // KVM remembers where the clock is, and writes none to address 0.
    if (data === 0n) return;
    const epoch = asU64(wallClockEpochNs(self, ctx));
    self.wallClockVersion += 1 + (self.wallClockVersion & 1);
    write(self, 4, ctx);
    self.wallClockSec = Number(BigInt.asUintN(32, epoch / NSEC_PER_SEC));
    self.wallClockNsec = Number(epoch % NSEC_PER_SEC);
    write(self, 12, ctx);
    self.wallClockVersion += 1;
    write(self, 4, ctx);
  },
} satisfies Record<string, VmRecipe>;
