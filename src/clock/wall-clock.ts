/**
 * The wall clock a guest asks for once: the instant at which its kvmclock was 0.
 *
 * Source: `kvm_write_wall_clock()`, `kvm_get_wall_clock_epoch()`, arch/x86/kvm/x86.c;
 * `kvm_xen_shared_info_init()`, arch/x86/kvm/xen.c.
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
    vm: ctx.vmId,
  });
}

/** Where Xen's shared_info has its wall clock and the high half of its seconds, by the guest's mode. */
const XEN_64 = { wallClock: 0xc00n, secHi: 0xc0cn } as const;
const XEN_32 = { wallClock: 0x900n, secHi: 0x924n } as const;

/** Writes the first bytes of Xen's wall clock. */
function writeXen(self: Readonly<VmState>, offset: bigint, bytes: Uint8Array, ctx: Ctx): void {
  const gpa = self.xenSharedInfoGpa + offset;
  ctx.out.emit({ type: 'guest_write', gpa, bytes, what: 'xen_wall_clock', vm: ctx.vmId });
}

function xenBytes(vm: Readonly<VmState>): { head: Uint8Array; secHi: Uint8Array } {
  const view = new DataView(new ArrayBuffer(16));
  view.setUint32(0, vm.xenWallClockVersion, true);
  view.setUint32(4, Number(BigInt.asUintN(32, vm.xenWallClockSec)), true);
  view.setUint32(8, vm.xenWallClockNsec, true);
  view.setUint32(12, Number(vm.xenWallClockSec / SEC_HI), true);
  const bytes = new Uint8Array(view.buffer);
  return { head: bytes.subarray(0, 12), secHi: bytes.subarray(12) };
}

const SEC_HI = 1n << 32n;

export const wallClockRecipes = {
  /** `kvm_xen_shared_info_init()`: the same in Xen's page, with seconds of 64 bits. */
  writeXenWallClock: (self, ctx) => {
    const { gpa } = inputOf(ctx, 'KVM_XEN_SET_SHARED_INFO');
    if (gpa !== self.xenSharedInfoGpa) self.xenWallClockVersion = 0;
    self.xenSharedInfoGpa = gpa;
    const at = self.xenLongMode ? XEN_64 : XEN_32;
    const epoch = asU64(wallClockEpochNs(self, ctx));
    self.xenWallClockVersion = ((self.xenWallClockVersion + 1) | 1) >>> 0;
    writeXen(self, at.wallClock, xenBytes(self).head.slice(0, 4), ctx);
    self.xenWallClockSec = epoch / NSEC_PER_SEC;
    self.xenWallClockNsec = Number(epoch % NSEC_PER_SEC);
    writeXen(self, at.wallClock, xenBytes(self).head, ctx);
    writeXen(self, at.secHi, xenBytes(self).secHi, ctx);
    self.xenWallClockVersion = (self.xenWallClockVersion + 1) >>> 0;
    writeXen(self, at.wallClock, xenBytes(self).head.slice(0, 4), ctx);
  },
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
