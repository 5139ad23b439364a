/**
 * What the guests' own pages prove, from a recording's log of actions and nothing else.
 *
 * After each action the driver read every vCPU's pvclock page and TSC offset, and guests sampled
 * their own page while they ran. For each vCPU the page and offset at one run of its guest are
 * compared with those at the next, both read at one host TSC, in plain integers.
 */
interface LoggedPage {
  readonly hex: string;
  readonly tsc_timestamp: string;
  readonly system_time: string;
  readonly mul: number;
  readonly shift: number;
}

interface LoggedAction {
  readonly i: number;
  readonly op: string;
  readonly args: { readonly vm?: number; readonly vcpu?: number };
  readonly t1: { readonly tsc: string; readonly tsc_end: string };
  readonly out?: { readonly debugfs?: string };
  readonly samples?: readonly { readonly tsc: string; readonly pvti?: LoggedPage }[];
  readonly obs?: {
    readonly vm: number;
    readonly vcpus?: readonly {
      readonly vcpu: number;
      readonly tsc_offset?: string;
      readonly pvti?: LoggedPage;
    }[];
  };
}

/** A jump that pages prove: between host TSC `after` and `until`. */
export interface ProvenJump {
  readonly action: number;
  /** The VM's name in debugfs, `pid-fd`. */
  readonly vm: string;
  readonly vcpu: number;
  readonly deltaNs: bigint;
  readonly after: bigint;
  readonly until: bigint;
}

interface View {
  readonly page: LoggedPage;
  readonly offset: bigint;
  readonly tsc: bigint;
}

const U64 = (1n << 64n) - 1n;

function read(page: LoggedPage, guestTsc: bigint): bigint {
  const cycles = (guestTsc - BigInt(page.tsc_timestamp)) & U64;
  const shifted =
    page.shift < 0 ? cycles >> BigInt(-page.shift) : (cycles << BigInt(page.shift)) & U64;
  return BigInt(page.system_time) + ((shifted * BigInt(page.mul)) >> 32n);
}

/**
 * The TSC offset with which a vCPU last entered its guest before `until`, from the text of a
 * recording with one VM: the driver reads an offset after the guest ran, and where the host's TSC is
 * unstable every ioctl on the vCPU in between has written another one.
 */
export function enteredOffsets(text: string): (vcpu: number, until: bigint) => bigint | undefined {
  const entries: { readonly vcpu: number; readonly at: bigint; readonly offset: bigint }[] = [];
  const offsets = new Map<number, bigint>();
  const event =
    /\s(\d+): (?:kvm_write_tsc_offset: vcpu=(\d+) prev=\d+ next=(\d+)|kvm_entry: vcpu (\d+))/;
  for (const line of text.split('\n')) {
    const [, at, written, next, entered] = event.exec(line) ?? [];
    if (next !== undefined) offsets.set(Number(written), BigInt(next));
    const offset = offsets.get(Number(entered));
    if (at !== undefined && entered !== undefined && offset !== undefined) {
      entries.push({ vcpu: Number(entered), at: BigInt(at), offset });
    }
  }
  return (vcpu, until) => entries.findLast((e) => e.vcpu === vcpu && e.at <= until)?.offset;
}

/**
 * All changes, also those of 0 ns, in the order of the log. `offsetAt` gives the offset with which a
 * vCPU ran last, where that is not the one that the log has.
 */
export function provenJumps(
  log: string,
  offsetAt?: (vcpu: number, until: bigint) => bigint | undefined,
): ProvenJump[] {
  const jumps: ProvenJump[] = [];
  const names = new Map<number, string>();
  const views = new Map<string, View>();
  const see = (action: LoggedAction, vm: number, vcpu: number, now: View, at: bigint): void => {
    const key = `${vm}/${vcpu}`;
    const before = views.get(key);
    views.set(key, now);
    if (before === undefined) return;
    if (before.page.hex === now.page.hex && before.offset === now.offset) return;
    const old = read(before.page, (at + before.offset) & U64);
    const fresh = read(now.page, (at + now.offset) & U64);
    const name = names.get(vm) ?? String(vm);
    const deltaNs = fresh - old;
    jumps.push({ action: action.i, vm: name, vcpu, deltaNs, after: before.tsc, until: now.tsc });
  };
  for (const line of log.split('\n')) {
    if (line === '') continue;
    const action = JSON.parse(line) as LoggedAction;
    const debugfs = action.out?.debugfs?.split('/').pop();
    // A descriptor is used again once its VM is closed: later VMs of the name are told by number.
    const uses = [...names.values()].filter((n) => n.replace(/\.\d+$/, '') === debugfs).length;
    if (debugfs !== undefined) {
      names.set(action.args.vm!, uses === 0 ? debugfs : `${debugfs}.${uses + 1}`);
    }
    for (const v of action.obs?.vcpus ?? []) {
      if (v.vcpu !== action.args.vcpu) continue;
      const vm = action.obs!.vm;
      if (v.pvti === undefined || v.pvti.mul === 0 || v.tsc_offset === undefined) {
        if (action.op.startsWith('guest_')) views.delete(`${vm}/${v.vcpu}`);
        continue;
      }
      const ran = offsetAt?.(v.vcpu, BigInt(action.t1.tsc_end));
      const offset = ran ?? BigInt(v.tsc_offset);
      for (const sample of action.op === 'thread_done' ? (action.samples ?? []) : []) {
        if (sample.pvti === undefined) continue;
        const at = (BigInt(sample.tsc) - offset) & U64;
        see(action, vm, v.vcpu, { page: sample.pvti, offset, tsc: at }, at);
      }
      if (action.op.startsWith('guest_')) {
        const now = { page: v.pvti, offset, tsc: BigInt(action.t1.tsc_end) };
        see(action, vm, v.vcpu, now, BigInt(action.t1.tsc));
      }
    }
  }
  return jumps;
}
