/** Runs one migration: two hosts, the values saved on one being the arguments of the other's ioctls. */
import type { Observation } from '../../../events/index.ts';
import { KVM_CLOCK_REALTIME } from '../../clock/index.ts';
import {
  type Dispatched,
  type HostOptions,
  type Performed,
  type Plan,
  type SavedVm,
  VMM_POLICIES,
  Vmm,
  type VmmMoment,
  type VmmPolicy,
} from '../../engine/index.ts';
import type { Profile } from '../../profiles/index.ts';
import type { Simulation } from '../simulation.ts';
import { type Frozen, Threads, VM } from './guest.ts';
import type { MigrationOptions } from './options.ts';
import { hostOf, Site, type SiteOptions } from './site.ts';
import { witness } from './witness.ts';

/** Why a VMM gives up. */
export interface Refusal {
  readonly at: 'source' | 'destination';
  /** An ioctl that the kernel refused; minus errno. */
  readonly ioctl?: { readonly name: string; readonly ret: number };
}

/** A vCPU on its way. */
export interface VcpuJourney {
  readonly id: number;
  /** As the guest last had it at the source, and true time of its exit. */
  readonly before: Frozen;
  readonly stoppedAt: bigint;
  /** As the guest first had it at the destination, and true time of its entry. */
  readonly first: Frozen;
  readonly enteredAt: bigint;
  /** As it has it when all requests are served. */
  readonly after: Frozen;
}

/** What became of one migration. */
export interface Journey {
  readonly options: MigrationOptions;
  readonly source: Site;
  readonly destination: Site;
  readonly out: Performed;
  readonly into: Performed;
  readonly vcpus: readonly VcpuJourney[];
  readonly refused: readonly Refusal[];
  /** Masterclock references taken after the guest runs at the destination. */
  readonly snapshots: number;
  /** True time at which the clocks are compared: everything is served. */
  readonly comparedAt: bigint;
}

/** Between two things that the guest's threads do. */
const GUEST_GAP_NS = 1000n;

/** How long before the stop the destination's VM is created. */
const LAUNCHED_NS = 1_000_000n;

/** TSCs of the hosts when the guest boots. */
const SOURCE_TSC = 1_000_000_000_000n;
const DESTINATION_TSC = 77_000_000_000_000n;

const LEAP_NS = { none: 0n, inserted: -1_000_000_000n, deleted: 1_000_000_000n } as const;
const LEAP_TAI = { none: 0, inserted: 1, deleted: -1 } as const;
/** CLOCK_TAI − CLOCK_REALTIME since 2017, s. */
const TAI_OFFSET = 37;

/** Makes a simulated host; what runs a migration does not keep it. */
export type MakeHost = (
  side: 'source' | 'destination',
  profile: Profile,
  host: HostOptions,
) => Simulation;

function makeSite(options: MigrationOptions, side: 'source' | 'destination', make: MakeHost): Site {
  const isSource = side === 'source';
  const its: SiteOptions = {
    khz: isSource ? options.sourceKhz : options.destinationKhz,
    ntpPpt: isSource ? options.sourceNtpPpt : options.destinationNtpPpt,
    cpus: Math.max(4, options.vcpus),
    scaling: isSource || options.scaling,
    tsc: isSource ? SOURCE_TSC : DESTINATION_TSC,
    realtimeErrorNs: isSource ? 0n : options.realtimeErrorNs,
  };
  const profile = isSource ? options.from : options.to;
  return new Site(make(side, profile, hostOf(its)), its);
}

/** A VMM whose inputs the site keeps too. */
class Keeper {
  readonly #site: Site;
  readonly vmm: Vmm;

  constructor(site: Site, options: MigrationOptions) {
    this.#site = site;
    this.vmm = new Vmm({ world: site.world, vm: VM, policy: options.policy });
  }

  perform(event: Parameters<Vmm['perform']>[0], plan: Plan): Performed {
    return this.#site.simulation.perform(this.vmm, VM, event, plan);
  }

  /** Right after what was done last. */
  soon(event: Parameters<Vmm['perform']>[0]): Performed {
    const gap = this.#site.cycles(GUEST_GAP_NS);
    return this.perform(event, {
      tsc: this.#site.world.lastTsc + gap,
      step: gap,
      steps: 'ioctls',
      realtimeNs: this.#site.realtimeNs,
    });
  }
}

function planOf(
  site: Site,
  at: bigint,
  gaps: readonly bigint[],
  waits: { readonly [M in VmmMoment]?: bigint },
): Plan {
  const inCycles = Object.entries(waits).map(([moment, ns]) => [moment, site.cycles(ns)]);
  return {
    tsc: site.tscAt(at),
    step: gaps.map((ns) => site.cycles(ns)),
    steps: 'ioctls',
    waits: Object.fromEntries(inCycles),
    realtimeNs: site.realtimeNs,
  };
}

/** The guest boots and runs until the stop. */
function boot(site: Site, options: MigrationOptions): { keeper: Keeper; threads: Threads } {
  const { vcpus, guestKhz, uptimeNs } = options;
  const keeper = new Keeper(site, options);
  const gap = site.cycles(GUEST_GAP_NS);
  const tscKhz = guestKhz === 0 ? {} : { tscKhz: guestKhz };
  keeper.perform({ type: 'launch', ...tscKhz }, { tsc: site.tscAt(0n), step: gap });
  for (let vcpu = 0; vcpu < vcpus; vcpu++) keeper.soon({ type: 'hotplug', vcpu, cpu: vcpu });
  keeper.soon({ type: 'resume' });
  const threads = new Threads(site, vcpus, GUEST_GAP_NS);
  threads.register();
  threads.settle();
  site.tick(uptimeNs);
  return { keeper, threads };
}

const isRefusal = (o: Observation): o is Observation & { type: 'ioctl_result' } =>
  o.type === 'ioctl_result' && o.ret < 0;

/** Ioctls that failed and may not; KVM_KVMCLOCK_CTRL may, where the guest has no page. */
function refusedOf(
  { inputs }: Performed,
  at: Refusal['at'],
  { tolerates = [] }: VmmPolicy,
): Refusal[] {
  const mayFail: readonly string[] = ['KVM_KVMCLOCK_CTRL', ...tolerates];
  return inputs
    .flatMap(({ dispatched }) => dispatched.observations.filter(isRefusal))
    .filter(({ name }) => !mayFail.includes(name))
    .map(({ name, ret }) => ({ at, ioctl: { name, ret } }));
}

/** Why the VMM gives up, if it does. */
function refusals(out: Performed, into: Performed, policy: VmmPolicy): Refusal[] {
  const flags = Number(out.saved?.vmm['clockFlags'] ?? 0);
  const lacksTime = policy.needsRealtime === true && (flags & KVM_CLOCK_REALTIME) === 0;
  return [
    ...refusedOf(out, 'source', policy),
    ...(lacksTime ? [{ at: 'source' } as const] : []),
    ...refusedOf(into, 'destination', policy),
  ];
}

const exitOf = (site: Site, { inputs }: Performed, id: number): bigint => {
  const exit = inputs.find(({ input }) => input.type === 'kvm_exit' && input.vcpu === id);
  if (exit === undefined) throw new RangeError(`vCPU ${id} did not stop`);
  return site.timeAt(exit.input.tsc);
};

const isSnapshot = ({ masterclock }: Dispatched): boolean => masterclock.decision === 'recomputed';

/** What a VMM is told of CLOCK_TAI at one side. */
const taiOf = ({ timescale, leapSecond }: MigrationOptions, side: 'source' | 'destination') => {
  if (timescale !== 'tai') return {};
  return { taiOffset: TAI_OFFSET + (side === 'source' ? 0 : LEAP_TAI[leapSecond]) };
};

function save(keeper: Keeper, site: Site, options: MigrationOptions): Performed {
  return keeper.perform(
    { type: 'migration', incoming: false, ...taiOf(options, 'source') },
    planOf(site, options.uptimeNs, options.sourceIoctlsNs, {
      'save-tscs': options.saveTscsNs,
      'save-memory': options.saveMemoryNs,
      'save-clock': options.saveClockNs,
    }),
  );
}

/** The destination's VMM makes its VM just before the stop, and then waits. */
function restore(site: Site, saved: SavedVm | undefined, options: MigrationOptions): Performed {
  const { guestKhz, uptimeNs, downtimeNs, leapSecond } = options;
  const keeper = new Keeper(site, options);
  const launch = { type: 'launch', ...(guestKhz === 0 ? {} : { tscKhz: guestKhz }) } as const;
  keeper.perform(launch, { tsc: site.tscAt(uptimeNs - LAUNCHED_NS), realtimeNs: site.realtimeNs });
  site.tick(uptimeNs);
  site.leap(uptimeNs + downtimeNs / 2n, LEAP_NS[leapSecond]);
  if (saved !== undefined) keeper.vmm.receive(saved);
  return keeper.perform(
    { type: 'migration', incoming: true, ...taiOf(options, 'destination') },
    planOf(site, uptimeNs + downtimeNs, options.destinationIoctlsNs, {
      'restore-tscs': options.restoreTscsNs,
      'restore-clock': options.restoreClockNs,
    }),
  );
}

/** The guest runs at the destination, until nothing is left to be done. */
function arrive(site: Site, vcpus: number) {
  const threads = new Threads(site, vcpus, GUEST_GAP_NS);
  const entries: Dispatched[] = [];
  const firsts = threads.ids.map((id) => {
    entries.push(threads.enter(id));
    return { mark: threads.mark(id), at: site.timeAt(site.world.lastTsc) };
  });
  entries.push(...threads.settle());
  const afters = threads.ids.map((id) => threads.mark(id));
  return { firsts, afters, snapshots: entries.filter(isSnapshot).length };
}

/** One migration, from the guest's boot to when all is quiet at the destination. */
export function runMigration(options: MigrationOptions, make: MakeHost): Journey {
  const source = makeSite(options, 'source', make);
  const destination = makeSite(options, 'destination', make);
  const { keeper, threads } = boot(source, options);
  const marks = threads.ids.map((id) => threads.mark(id));
  const out = save(keeper, source, options);
  const into = restore(destination, out.saved, options);
  const { firsts, afters, snapshots } = arrive(destination, options.vcpus);
  const before = witness(source.simulation, marks);
  const first = witness(
    destination.simulation,
    firsts.map(({ mark }) => mark),
  );
  const after = witness(destination.simulation, afters);
  return {
    options,
    source,
    destination,
    out,
    into,
    vcpus: threads.ids.map((id) => ({
      id,
      before: before[id]!,
      stoppedAt: exitOf(source, out, id),
      first: first[id]!,
      enteredAt: firsts[id]!.at,
      after: after[id]!,
    })),
    refused: refusals(out, into, VMM_POLICIES[options.policy]),
    snapshots,
    comparedAt: destination.timeAt(destination.world.lastTsc),
  };
}
