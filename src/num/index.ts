/**
 * Exact arithmetic of the KVM clock, and the flat structs its state is kept in.
 *
 * 64-bit arguments and results are bigints and are taken modulo 2^64; those of 32 bits and less are
 * numbers, and one that is out of range is a RangeError. Where the kernel would hang or divide by
 * zero, a RangeError says so.
 *
 * @module
 */
export { type ClocksourceScale, clocksourceMultShift } from './clocksource.ts';
export { describeValue } from './describe.ts';
export {
  type ArrayField,
  array,
  bool,
  type Field,
  oneOf,
  type Scalar,
  type StructViews,
  s8,
  s32,
  s64,
  u8,
  u16,
  u32,
  u64,
} from './field.ts';
export { FieldArray } from './field-array.ts';
export { type HvTscPage, hvReferenceTime, hvTscPage } from './hyperv.ts';
export {
  PVCLOCK_COUNTS_FROM_ZERO,
  PVCLOCK_GUEST_STOPPED,
  PVCLOCK_TSC_STABLE_BIT,
  type PvclockPage,
  type PvclockReference,
  pvclockRead,
} from './pvclock.ts';
export { decodePvclockPage, encodePvclockPage, PVCLOCK_PAGE_BYTES } from './pvclock-page.ts';
export {
  type AnyStructType,
  type FieldPlace,
  type Struct,
  StructBase,
  type StructFields,
  type StructLayout,
  type StructOf,
  type StructType,
  type StructValues,
  struct,
} from './struct.ts';
export { StructJsonError, structReviver } from './struct-json.ts';
export {
  hvclockToHz,
  NSEC_PER_SEC,
  pvclockTscKhz,
  type TimeScale,
  timeScale,
} from './time-scale.ts';
export {
  adjustTscKhz,
  defaultTscRatio,
  nestedMultiplier,
  nestedOffset,
  SVM_MAX_TSC_RATIO,
  SVM_TSC_FRAC_BITS,
  scaleTsc,
  TSC_TOLERANCE_PPM,
  type TscRatio,
  type TscRatioOptions,
  tscRatio,
  VMX_MAX_TSC_RATIO,
  VMX_TSC_FRAC_BITS,
} from './tsc-scaling.ts';
export {
  type CycleMatch,
  computeGuestTsc,
  type GuestTscVariant,
  nsecToCycles,
  type TscSyncPoint,
  type TscWrite,
  tscMatchWindow,
  type UsdiffMatch,
} from './tsc-sync.ts';
export {
  addU64,
  asS64,
  asU64,
  isBefore,
  parseS64,
  parseU64,
  S64_MAX,
  S64_MIN,
  subU64,
  U64_MAX,
} from './u64.ts';
export { mulS64U64Shr, mulU64U64Shr, scaleDelta } from './wide.ts';
