/** Writes small recordings as ftrace text, one event a call. */
export interface PageText {
  readonly vcpu?: number;
  readonly version?: number;
  readonly tsc: bigint;
  readonly ns: bigint;
  readonly mul?: number;
  readonly shift?: number;
  readonly flags?: number;
}

export interface TrackText {
  readonly vcpu?: number;
  readonly use: 0 | 1;
  readonly matched: number;
  readonly online: number;
  readonly hostClock?: string;
}

/** 2 GHz: one cycle is exactly half a nanosecond, so that expected values need no rounding. */
const MUL = 0x8000_0000;
const SHIFT = 0;

export interface ThreadText {
  readonly comm?: string;
  readonly tid?: number;
  readonly tgid?: number;
  readonly cpu?: number;
}

export class TraceText {
  readonly #lines: string[] = ['# tracer: nop', '#'];
  readonly #fraction: boolean;

  /** `ns`: timestamps are nanoseconds, printed as seconds with nine digits. */
  constructor(clock: 'tsc' | 'ns' = 'tsc') {
    this.#fraction = clock === 'ns';
  }

  line(text: string): this {
    this.#lines.push(text);
    return this;
  }

  event(at: bigint, text: string, thread: ThreadText = {}): this {
    const { comm = 'qemu', tid = 100, tgid, cpu = 0 } = thread;
    const time = this.#fraction
      ? `${at / 1_000_000_000n}.${String(at % 1_000_000_000n).padStart(9, '0')}`
      : String(at);
    const process = tgid === undefined ? '' : `(${String(tgid).padStart(7)}) `;
    return this.line(
      `${comm.padStart(16)}-${String(tid).padEnd(7)} ${process}[${String(cpu).padStart(3, '0')}] d..1. ${time}: ${text}`,
    );
  }

  page(at: bigint, page: PageText, thread?: ThreadText): this {
    const { vcpu = 0, version = 2, tsc, ns, mul = MUL, shift = SHIFT, flags = 1 } = page;
    return this.event(
      at,
      `kvm_pvclock_update: vcpu_id ${vcpu}, pvclock { version ${version}, tsc_timestamp 0x${tsc.toString(16)}, system_time 0x${ns.toString(16)}, tsc_to_system_mul 0x${mul.toString(16)}, tsc_shift ${shift}, flags 0x${flags.toString(16)} }`,
      thread,
    );
  }

  offset(at: bigint, previous: bigint, next: bigint, vcpu = 0, thread?: ThreadText): this {
    const u64 = (n: bigint) => BigInt.asUintN(64, n);
    return this.event(
      at,
      `kvm_write_tsc_offset: vcpu=${vcpu} prev=${u64(previous)} next=${u64(next)}`,
      thread,
    );
  }

  masterclock(at: bigint, use: 0 | 1, matched: 0 | 1 = use, thread?: ThreadText): this {
    return this.event(
      at,
      `kvm_update_master_clock: masterclock ${use} hostclock tsc offsetmatched ${matched}`,
      thread,
    );
  }

  track(at: bigint, track: TrackText, thread?: ThreadText): this {
    const { vcpu = 0, use, matched, online, hostClock = 'tsc' } = track;
    return this.event(
      at,
      `kvm_track_tsc: vcpu_id ${vcpu} masterclock ${use} offsetmatched ${matched} nr_online ${online} hostclock ${hostClock}`,
      thread,
    );
  }

  entry(at: bigint, vcpu = 0, thread?: ThreadText): this {
    return this.event(at, `kvm_entry: vcpu ${vcpu}, rip 0x1000`, thread);
  }

  exit(at: bigint, vcpu = 0, thread?: ThreadText): this {
    return this.event(at, `kvm_exit: vcpu ${vcpu} reason hlt rip 0x1000 info1 0x0`, thread);
  }

  wrmsr(at: bigint, msr: number, value: bigint, thread?: ThreadText): this {
    const text = `kvm_msr: msr_write ${msr.toString(16)} = 0x${value.toString(16)}`;
    return this.event(at, text, thread);
  }

  ioctl(at: bigint, fd: number, cmd: number, arg: bigint, ret: bigint, thread?: ThreadText): this {
    return this.enterIoctl(at, fd, cmd, arg, thread).exitIoctl(at + 1n, ret, thread);
  }

  enterIoctl(at: bigint, fd: number, cmd: number, arg: bigint, thread?: ThreadText): this {
    const hex = (n: number | bigint) => n.toString(16);
    const text = `sys_ioctl(fd: ${hex(fd)}, cmd: ${hex(cmd)}, arg: ${hex(arg)})`;
    return this.event(at, text, thread);
  }

  exitIoctl(at: bigint, ret: bigint, thread?: ThreadText): this {
    return this.event(at, `sys_ioctl -> 0x${BigInt.asUintN(64, ret).toString(16)}`, thread);
  }

  toString(): string {
    return `${this.#lines.join('\n')}\n`;
  }
}
