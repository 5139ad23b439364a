/**
 * Numbers of KVM's user and guest interfaces that have to do with clocks.
 *
 * Source: include/uapi/linux/kvm.h, arch/x86/include/uapi/asm/kvm_para.h,
 * arch/x86/include/asm/msr-index.h and include/uapi/asm-generic/errno*.h (Linux 7.3).
 */

/** What kind of file descriptor an ioctl is for. SET_TSC_KHZ and the attribute calls take both. */
export type IoctlScope = 'system' | 'vm' | 'vcpu' | 'vm or vcpu';

interface IoctlSpec {
  readonly name: string;
  readonly cmd: number;
  readonly scope: IoctlScope;
  /** It can move a guest's clock. */
  readonly movesClock?: true;
}

/** The ioctls that create VMs and vCPUs, run them, or touch their clocks. */
export const IOCTLS = [
  { name: 'KVM_CREATE_VM', cmd: 0xae01, scope: 'system' },
  { name: 'KVM_CREATE_VCPU', cmd: 0xae41, scope: 'vm', movesClock: true },
  { name: 'KVM_RUN', cmd: 0xae80, scope: 'vcpu' },
  { name: 'KVM_GET_MSRS', cmd: 0xc008ae88, scope: 'vcpu' },
  { name: 'KVM_SET_MSRS', cmd: 0x4008ae89, scope: 'vcpu', movesClock: true },
  { name: 'KVM_SET_CLOCK', cmd: 0x4030ae7b, scope: 'vm', movesClock: true },
  { name: 'KVM_GET_CLOCK', cmd: 0x8030ae7c, scope: 'vm' },
  { name: 'KVM_SET_TSC_KHZ', cmd: 0xaea2, scope: 'vm or vcpu', movesClock: true },
  { name: 'KVM_GET_TSC_KHZ', cmd: 0xaea3, scope: 'vm or vcpu' },
  { name: 'KVM_KVMCLOCK_CTRL', cmd: 0xaead, scope: 'vcpu' },
  { name: 'KVM_SET_DEVICE_ATTR', cmd: 0x4018aee1, scope: 'vm or vcpu', movesClock: true },
  { name: 'KVM_GET_DEVICE_ATTR', cmd: 0x4018aee2, scope: 'vm or vcpu' },
  { name: 'KVM_HAS_DEVICE_ATTR', cmd: 0x4018aee3, scope: 'vm or vcpu' },
  { name: 'KVM_XEN_HVM_CONFIG', cmd: 0x4038ae7a, scope: 'vm' },
  { name: 'KVM_XEN_HVM_SET_ATTR', cmd: 0x4048aec9, scope: 'vm', movesClock: true },
  { name: 'KVM_XEN_VCPU_GET_ATTR', cmd: 0xc048aeca, scope: 'vcpu' },
  { name: 'KVM_XEN_VCPU_SET_ATTR', cmd: 0x4048aecb, scope: 'vcpu', movesClock: true },
] as const satisfies readonly IoctlSpec[];

/** Name of an ioctl that has to do with clocks. */
export type IoctlName = (typeof IOCTLS)[number]['name'];

/** One of them. */
export type Ioctl = IoctlSpec & { readonly name: IoctlName };

/** Model-specific registers that read or move a guest's clocks. */
export const MSRS = {
  IA32_TSC: 0x10,
  MSR_KVM_WALL_CLOCK: 0x11,
  MSR_KVM_SYSTEM_TIME: 0x12,
  IA32_TSC_ADJUST: 0x3b,
  IA32_TSC_DEADLINE: 0x6e0,
  HV_X64_MSR_TIME_REF_COUNT: 0x40000020,
  HV_X64_MSR_REFERENCE_TSC: 0x40000021,
  HV_X64_MSR_TSC_FREQUENCY: 0x40000022,
  HV_X64_MSR_REENLIGHTENMENT_CONTROL: 0x40000106,
  HV_X64_MSR_TSC_EMULATION_CONTROL: 0x40000107,
  HV_X64_MSR_TSC_EMULATION_STATUS: 0x40000108,
  HV_X64_MSR_TSC_INVARIANT_CONTROL: 0x40000118,
  HV_X64_MSR_STIMER0_CONFIG: 0x400000b0,
  HV_X64_MSR_STIMER0_COUNT: 0x400000b1,
  HV_X64_MSR_STIMER1_CONFIG: 0x400000b2,
  HV_X64_MSR_STIMER1_COUNT: 0x400000b3,
  HV_X64_MSR_STIMER2_CONFIG: 0x400000b4,
  HV_X64_MSR_STIMER2_COUNT: 0x400000b5,
  HV_X64_MSR_STIMER3_CONFIG: 0x400000b6,
  HV_X64_MSR_STIMER3_COUNT: 0x400000b7,
  MSR_KVM_WALL_CLOCK_NEW: 0x4b564d00,
  MSR_KVM_SYSTEM_TIME_NEW: 0x4b564d01,
  MSR_KVM_STEAL_TIME: 0x4b564d03,
  MSR_AMD64_TSC_RATIO: 0xc0000104,
} as const;

/** What a hypercall returns that KVM does not know, negative: no errno, and so above them all. */
export const KVM_ENOSYS = 1000;

/**
 * Linux's numbers of what KVM's clock calls fail with; they return them negated. Other systems number
 * them otherwise.
 */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  ENXIO: 6,
  EAGAIN: 11,
  EEXIST: 17,
  EINVAL: 22,
  ENOTTY: 25,
  ERANGE: 34,
  ENODATA: 61,
  ETIME: 62,
  EOPNOTSUPP: 95,
} as const;
