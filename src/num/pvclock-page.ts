/**
 * The pvclock page in memory, reader beside writer: `struct pvclock_vcpu_time_info`
 * (arch/x86/include/asm/pvclock-abi.h), little-endian:
 *
 *     0 version u32 · 4 pad · 8 tsc_timestamp u64 · 16 system_time u64
 *     24 tsc_to_system_mul u32 · 28 tsc_shift s8 · 29 flags u8 · 30 pad
 */
import type { PvclockPage } from './pvclock.ts';
import { checkInt, checkU32 } from './range.ts';

/** Bytes of a pvclock page. */
export const PVCLOCK_PAGE_BYTES = 32;

/** A page on its way: making a view for each costs more than all the rest. */
const PAGE = new Uint8Array(PVCLOCK_PAGE_BYTES);
const VIEW = new DataView(PAGE.buffer);

function checkRoom(bytes: Uint8Array, offset: number): void {
  if (!Number.isInteger(offset) || offset < 0 || offset + PVCLOCK_PAGE_BYTES > bytes.length) {
    throw new RangeError(
      `a pvclock page takes ${PVCLOCK_PAGE_BYTES} bytes, found ${bytes.length} with offset ${offset}`,
    );
  }
}

/**
 * Writes a page into `target`, its pads as 0. Nothing is written when it throws.
 *
 * @param page - 64-bit fields are taken modulo 2^64.
 * @param offset - where in `target`, bytes.
 * @throws RangeError when the page does not fit or a field of fewer than 64 bits is out of range.
 */
export function encodePvclockPage(page: PvclockPage, target: Uint8Array, offset = 0): void {
  checkRoom(target, offset);
  checkU32(page.version, 'version');
  checkU32(page.tscToSystemMul, 'tscToSystemMul');
  checkInt(page.tscShift, -128, 127, 'tscShift');
  checkInt(page.flags, 0, 255, 'flags');
  PAGE.fill(0);
  VIEW.setUint32(0, page.version, true);
  VIEW.setBigUint64(8, page.tscTimestamp, true);
  VIEW.setBigUint64(16, page.systemTime, true);
  VIEW.setUint32(24, page.tscToSystemMul, true);
  VIEW.setInt8(28, page.tscShift);
  VIEW.setUint8(29, page.flags);
  target.set(PAGE, offset);
}

/**
 * Reads the page at `offset`; its pads are ignored. Any bytes make a page, also one that is being
 * written (odd version) or has a shift that no host writes.
 *
 * @throws RangeError when there are fewer than 32 bytes.
 */
export function decodePvclockPage(bytes: Uint8Array, offset = 0): PvclockPage {
  checkRoom(bytes, offset);
  for (let i = 0; i < PVCLOCK_PAGE_BYTES; i++) PAGE[i] = bytes[offset + i]!;
  return {
    version: VIEW.getUint32(0, true),
    tscTimestamp: VIEW.getBigUint64(8, true),
    systemTime: VIEW.getBigUint64(16, true),
    tscToSystemMul: VIEW.getUint32(24, true),
    tscShift: VIEW.getInt8(28),
    flags: VIEW.getUint8(29),
  };
}
