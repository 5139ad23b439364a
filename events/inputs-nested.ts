/**
 * What a guest hypervisor (L1) does with its own guest (L2), as far as the TSC goes.
 *
 * Source: arch/x86/kvm/vmx/nested.c, arch/x86/kvm/svm/nested.c, Linux 4.4 to 7.3.
 */
import { inputs } from './model-spec.ts';

export const NESTED_INPUTS = inputs({
  kvm_nested_vmenter: {
    target: 'vcpu',
    doc: 'L1 runs L2: VMLAUNCH, VMRESUME or VMRUN, with what its vmcs12 or vmcb12 says of the TSC.',
    fields: {
      tscOffset: { type: 'u64', doc: 'from L1’s TSC to L2’s, cycles modulo 2^64' },
      tscMultiplier: {
        type: 'u64',
        doc: 'VMX, with SECONDARY_EXEC_TSC_SCALING: ratio of L2’s TSC to L1’s, 48 fractional bits',
        optional: true,
      },
      noTscOffsetting: {
        type: 'bool',
        doc: 'VMX: CPU_BASED_USE_TSC_OFFSETTING is off, and neither of the two counts',
        optional: true,
      },
      eventInj: { type: 'u32', doc: 'SVM: EVENTINJ, low half', optional: true },
      badGuestState: {
        type: 'bool',
        doc: 'VMX: the entry fails after vmcs02 was prepared',
        optional: true,
      },
    },
  },
  kvm_nested_vmexit: {
    target: 'vcpu',
    doc: 'L2 leaves for L1.',
    fields: {},
  },
});
