/** What a recording shows of the host: its clocksource, the TSC's frequency, its base clock. */
import {
  baseAt,
  type HostState,
  isTscMode,
  MAX_HOST_CPUS,
  type VcpuState,
} from '../../src/clock/index.ts';
import { addU64, clocksourceMultShift, subU64, timeScale } from '../../src/num/index.ts';
import type { Driver, When } from './driver.ts';
import type { KnownVm } from './known.ts';
import { RawLine } from './line.ts';

/** vDSO clock mode of the TSC itself. */
const MODE_TSC = 1;

export class HostModel {
  readonly line = new RawLine();
  /** Loads write TSC offsets: the host's TSC is not trusted. */
  tscUnstable = false;
  /** It slept, or may have: TSCs and clocks can have gone on from elsewhere. */
  slept = false;
  #knowsClocksource = false;
  #knowsKhz = false;
  /** CPUs of which KVM's copy of the frequency was seen. */
  readonly #cpus = new Set<number>();
  /** The VM whose pages show the line while its slope is not known. */
  #lineOf: KnownVm | undefined;
  readonly #driver: Driver;

  constructor(driver: Driver) {
    this.#driver = driver;
  }

  get state(): HostState {
    return this.#driver.world.host;
  }

  /** TSCs are trusted: while something else is the clocksource, they may have been found unstable. */
  get isTscSteady(): boolean {
    return !this.tscUnstable && isTscMode(this.state.vclockMode);
  }

  /** A page has shown the TSC's frequency. */
  get knowsKhz(): boolean {
    return this.#knowsKhz;
  }

  /** The base clock of masterclocks is MONOTONIC_RAW, counted by the TSC. */
  get followsRaw(): boolean {
    return this.#driver.switches.masterBase === 'raw' && this.state.vclockMode === MODE_TSC;
  }

  /** The same for pages without masterclock. */
  get othersFollowRaw(): boolean {
    return this.#driver.switches.otherBase === 'raw' && this.state.vclockMode === MODE_TSC;
  }

  /**
   * A tracepoint names the clocksource.
   *
   * @returns it is another one than before.
   */
  seeClocksource(vclockMode: number, when: When): boolean {
    if (this.state.vclockMode === vclockMode) {
      this.#knowsClocksource = true;
      return false;
    }
    const tsc = this.#driver.tscAt(when.ticks);
    this.#driver.happen({ type: 'change_clocksource', tsc, vclockMode });
    if (this.state.gtodWorkQueued) this.#driver.happen({ type: 'pvclock_gtod_work', tsc });
    this.line.lose();
    for (const vm of this.#driver.vms) vm.clockOffset = 'unknown';
    const changed = this.#knowsClocksource;
    this.#knowsClocksource = true;
    return changed;
  }

  /**
   * The clock of a VM whose offset is not known becomes the line's, if no other VM's is yet.
   *
   * @returns false: until the slope is known, points of one VM alone can be compared.
   */
  beginLine(vm: KnownVm): boolean {
    if (this.line.hasPoint && this.#lineOf !== vm) return false;
    this.line.lose();
    this.#lineOf = vm;
    return true;
  }

  /** The host sleeps, or has slept. */
  sleep(): void {
    this.slept = true;
    this.line.lose();
  }

  /**
   * A page on a CPU is made for this frequency.
   *
   * @returns whether that frequency is the one the model has; `new` when it was not known.
   */
  seeKhz(khz: number, cpu: number): 'same' | 'new' | 'other' {
    const isCopy = this.#driver.switches.tscKhzSource === 'per-cpu';
    if (!this.#knowsKhz) {
      this.#knowsKhz = true;
      this.#learnKhz(khz);
      this.line.suppose(khz, !isCopy);
      this.#cpus.add(cpu);
      return 'new';
    }
    if (!isCopy) return khz === this.state.tscKhz ? 'same' : 'other';
    const copy = cpu < MAX_HOST_CPUS ? this.state.cpuTscKhz.get(cpu) : khz;
    if (copy === khz) {
      this.#cpus.add(cpu);
      return 'same';
    }
    // A CPU that comes online gets a copy made anew.
    const known = this.#cpus.has(cpu) ? 'other' : 'new';
    this.#cpus.add(cpu);
    this.state.cpuTscKhz.set(cpu, khz);
    return known;
  }

  #learnKhz(khz: number): void {
    const { state } = this;
    const { mult, shift } = clocksourceMultShift(khz);
    const before = state.tscKhz;
    // Times remembered were reckoned by the frequency supposed so far.
    const { rawMult, rawShift } = state;
    this.#moveRecords(
      (ns) => (((ns << BigInt(rawShift)) / BigInt(rawMult)) * BigInt(mult)) >> BigInt(shift),
    );
    state.tscKhz = khz;
    for (let cpu = 0; cpu < MAX_HOST_CPUS; cpu++) {
      if (state.cpuTscKhz.get(cpu) === before) state.cpuTscKhz.set(cpu, khz);
    }
    state.rawMult = mult;
    state.rawShift = shift;
    state.monoMult = mult;
    state.monoShift = shift;
    for (const { cell, vcpus } of this.#driver.world.vms.values()) {
      const vm = cell.state;
      if (vm.defaultTscKhz === before) vm.defaultTscKhz = khz;
      if (vm.lastTscKhz === before) vm.lastTscKhz = khz;
      for (const vcpu of vcpus.values()) {
        if (vcpu.state.virtualTscKhz === before) setFrequency(vcpu.state, khz);
      }
    }
  }

  /** The host's clocks are known better: so are the times of TSC synchronisations, by them. */
  #moveRecords(move: (ns: bigint) => bigint): void {
    for (const { cell } of this.#driver.world.vms.values()) {
      const { state } = cell;
      state.lastTscNsec = move(state.lastTscNsec);
      state.curTscNsec = move(state.curTscNsec);
    }
  }

  /** The base clock's line is known: the model's clocks follow it from here on. */
  followLine(tsc: bigint, ns: bigint, when: When): void {
    const { slope } = this.line;
    if (slope === undefined || !this.followsRaw) return;
    const { vclockMode } = this.state;
    const { otherBase } = this.#driver.switches;
    const before = baseAt(this.state, tsc, otherBase);
    this.#driver.happen({
      type: 'timekeeping_update',
      tsc: this.#driver.tscAt(when.ticks),
      vclockMode,
      ...{ monoCycleLast: tsc, monoMult: slope.mult, monoShift: slope.shift },
      ...{ monoXtimeNsec: 0n, monoBase: BigInt.asUintN(64, ns) },
      ...{ rawCycleLast: tsc, rawMult: slope.mult, rawShift: slope.shift },
      ...{ rawXtimeNsec: 0n, rawBase: BigInt.asUintN(64, ns) },
    });
    const by = subU64(baseAt(this.state, tsc, otherBase), before);
    this.#moveRecords((then) => addU64(then, by));
  }
}

function setFrequency(vcpu: VcpuState, khz: number): void {
  const { mul, shift } = timeScale(BigInt(khz) * 1000n, 1_000_000_000n);
  vcpu.virtualTscKhz = khz;
  vcpu.virtualTscMult = mul;
  vcpu.virtualTscShift = shift;
}
