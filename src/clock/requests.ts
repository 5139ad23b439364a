/**
 * What a vCPU is asked to do before it next enters the guest: bits of `vcpu.requests`, in the order
 * in which `vcpu_enter_guest()` (arch/x86/kvm/x86.c) serves them.
 */
import type { Ctx, VcpuGuard, VcpuRecipe } from './context.ts';
import type { VcpuState } from './vcpu-state.ts';

const REQUESTS = [
  'MIGRATE_TIMER',
  'MASTERCLOCK_UPDATE',
  'GLOBAL_CLOCK_UPDATE',
  'CLOCK_UPDATE',
  'STEAL_UPDATE',
  'HV_STIMER',
] as const;

/** Name of a request. */
export type Request = (typeof REQUESTS)[number];

/** The bit of each request. */
export const REQUEST_BIT = Object.fromEntries(
  REQUESTS.map((name, index) => [name, 1 << index]),
) as Readonly<Record<Request, number>>;

/** Raises a request and says so, unless it is up already. */
export function raise(self: VcpuState, request: Request, ctx: Ctx): void {
  const bit = REQUEST_BIT[request];
  if ((self.requests & bit) !== 0) return;
  self.requests |= bit;
  ctx.out.emit({ type: 'request', vcpu: self.vcpuId, name: request, vm: ctx.vmId });
}

/** Raises MASTERCLOCK_UPDATE: the vCPU that holds it recomputes the masterclock when it enters. */
export function raiseMasterclockUpdate(self: VcpuState, by: string, ctx: Ctx): void {
  raise(self, 'MASTERCLOCK_UPDATE', ctx);
  ctx.out.considered('requested', by);
}

/** Whether a request is up. */
export const isRequested = (self: Readonly<VcpuState>, request: Request): boolean =>
  (self.requests & REQUEST_BIT[request]) !== 0;

/** The bits of some requests, as they stand in `requests`. */
export const requestMask = (...requests: readonly Request[]): number =>
  requests.reduce((mask, request) => mask | REQUEST_BIT[request], 0);

function serve(request: Request): VcpuRecipe {
  const others = ~REQUEST_BIT[request];
  return (self) => {
    self.requests &= others;
  };
}

const ask =
  (request: Request): VcpuRecipe =>
  (self, ctx) => {
    raise(self, request, ctx);
  };

const askForMasterclock =
  (by: string): VcpuRecipe =>
  (self, ctx) => {
    raiseMasterclockUpdate(self, by, ctx);
  };

export const requestRecipes = {
  requestClockUpdate: ask('CLOCK_UPDATE'),
  requestGlobalClockUpdate: ask('GLOBAL_CLOCK_UPDATE'),
  requestStealUpdate: ask('STEAL_UPDATE'),
  requestUpdateForClocksource: askForMasterclock('the clocksource left the TSC'),
  requestUpdateForXen: askForMasterclock('Xen’s shared_info page was set'),
  requestUpdateForHyperv: askForMasterclock('the reference TSC page was enabled'),
  requestUpdateForBackwardsTsc: askForMasterclock('the TSC went backwards over a suspend'),
  serveMigrateTimer: serve('MIGRATE_TIMER'),
  serveMasterclockUpdate: serve('MASTERCLOCK_UPDATE'),
  serveGlobalClockUpdate: serve('GLOBAL_CLOCK_UPDATE'),
  serveClockUpdate: serve('CLOCK_UPDATE'),
  serveStealUpdate: serve('STEAL_UPDATE'),
  serveHvStimer: serve('HV_STIMER'),
} satisfies Record<string, VcpuRecipe>;

export const requestGuards = {
  /** It was last loaded on the CPU whose frequency or TSC changed. */
  wasLastOnThisCpu: (self, ctx) => 'cpu' in ctx.input && self.cpu === ctx.input.cpu,
} satisfies Record<string, VcpuGuard>;
