/**
 * The protocol by which a pvclock page is written while a guest may be reading it: its version odd,
 * then the data, then its version even, so that a guest that reads in between tries again.
 *
 * Source: `kvm_setup_guest_pvclock()`, before v5.19 `kvm_setup_pvclock_page()`, arch/x86/kvm/x86.c.
 */
import { encodePvclockPage, PVCLOCK_PAGE_BYTES, type PvclockPage } from '../num/index.ts';
import type { Ctx } from './context.ts';
import type { VcpuState } from './vcpu-state.ts';

const VERSION_BYTES = 4;

/** Which page: whose, and where in guest memory. */
export interface PagePlace {
  readonly vcpuId: number;
  readonly gpa: bigint;
  readonly what: 'pvclock' | 'xen_pvclock';
}

/** What a page says beside its version. */
export type PageContent = Omit<PvclockPage, 'version'>;

/** The pvclock that was computed last, with the flags that go with a page. */
export const contentOf = (vcpu: Readonly<VcpuState>, flags: number): PageContent => ({
  tscTimestamp: vcpu.pvTscTimestamp,
  systemTime: vcpu.pvSystemTime,
  tscToSystemMul: vcpu.pvclockTscMul,
  tscShift: vcpu.pvclockTscShift,
  flags,
});

/** An odd version that differs from the one the guest last saw: "being written". */
const oddVersion = (version: number, ctx: Ctx): number =>
  ctx.switches.pvPageWrite === 'or-one' ? (version + 1) | 1 : version + 1 + (version & 1);

function versionBytes(version: number): Uint8Array {
  const bytes = new Uint8Array(VERSION_BYTES);
  for (let i = 0; i < VERSION_BYTES; i++) bytes[i] = version >>> (8 * i);
  return bytes;
}

function pageBytes(version: number, content: PageContent): Uint8Array {
  const { tscTimestamp, systemTime, tscToSystemMul, tscShift, flags } = content;
  const page = new Uint8Array(PVCLOCK_PAGE_BYTES);
  const what = { version, tscTimestamp, systemTime, tscToSystemMul, tscShift, flags };
  encodePvclockPage(what, page);
  return page;
}

function emitWrite(place: PagePlace, bytes: Uint8Array, ctx: Ctx): void {
  const { vcpuId: vcpu, gpa, what } = place;
  ctx.out.emit({ type: 'guest_write', vcpu, gpa, bytes, what, vm: ctx.vmId });
}

function emitTrace({ vcpuId }: PagePlace, version: number, content: PageContent, ctx: Ctx): void {
  const { tscTimestamp, systemTime, tscToSystemMul, tscShift, flags } = content;
  ctx.out.emit({
    type: 'kvm_pvclock_update',
    vcpu: vcpuId,
    vcpuId,
    version,
    tscTimestamp,
    systemTime,
    tscToSystemMul,
    tscShift,
    flags,
    vm: ctx.vmId,
  });
}

/**
 * Writes a page under its version.
 *
 * @param before - the version that the page has.
 * @param traced - what the tracepoint tells of it.
 * @returns the version that it has then.
 */
export function writeUnderVersion(
  place: PagePlace,
  before: number,
  content: PageContent,
  ctx: Ctx,
  traced: PageContent = content,
): number {
  const { pvTraceVersionParity: parity } = ctx.switches;
  const odd = oddVersion(before, ctx) >>> 0;
  const even = (odd + 1) >>> 0;
  if (ctx.out.seesWrites) emitWrite(place, versionBytes(odd), ctx);
  if (parity === 'odd') emitTrace(place, odd, traced, ctx);
  if (ctx.out.seesWrites) {
    emitWrite(place, pageBytes(odd, content), ctx);
    emitWrite(place, versionBytes(even), ctx);
  }
  if (parity === 'even') emitTrace(place, even, traced, ctx);
  return even;
}
