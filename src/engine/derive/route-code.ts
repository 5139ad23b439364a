/**
 * Routes as code: a function for each input, which lets the machines react in the order of its
 * route. What the routes call is a function of its own.
 */
import type { Phase, Route } from '../phase.ts';
import { DeriveError } from './derive-error.ts';
import { branches, inside } from './lines.ts';

/** The functions that routes call, and the bodies of their loops, in an order to declare them in. */
class Functions {
  readonly #bodies = new Map<string, string>();
  readonly lines: string[] = [];

  /**
   * Declares a function, unless it is there already.
   *
   * @returns its name.
   * @throws DeriveError when another one has that name.
   */
  declare(name: string, body: readonly string[]): string {
    const text = body.join('\n');
    const known = this.#bodies.get(name);
    if (known === text) return name;
    if (known !== undefined) {
      throw new DeriveError(name, `what it was before: ${known}`, text);
    }
    this.#bodies.set(name, text);
    this.lines.push(`function ${name}(run: Run): void {`, ...inside(body), '}', '');
    return name;
  }
}

const CELLS = { host: 'hostCell', vm: 'vmOf!.cell', vcpu: 'vcpuCell!' } as const;
const LOOPS = { vm: 'eachVm', vcpu: 'eachVcpu' } as const;

/** Names a phase by what it does: `each_vcpu_REQUEST_CLOCK_UPDATE`. */
function nameOf(phase: Phase): string {
  if ('level' in phase) return phase.signal;
  if ('call' in phase) return phase.call;
  const inner = phase.phases.map(nameOf).join('_');
  if ('each' in phase) return `each_${phase.each}_${inner}`;
  return `${phase.holds ? 'if' : 'unless'}_${phase.when}_${inner}`;
}

function linesOfPhase(phase: Phase, functions: Functions, depth: number): string[] {
  if ('level' in phase) return [`run.${CELLS[phase.level]}.${phase.signal}(run);`];
  if ('when' in phase) {
    const { when, holds, phases } = phase;
    const condition = `${holds ? '' : '!'}is.${when}(run)`;
    const body = linesOf(phases, functions, depth + 1);
    return branches([{ when: [condition], body }], depth);
  }
  const name = functions.declare(nameOf(phase), linesOf(phase.phases, functions, 1));
  return ['call' in phase ? `${name}(run);` : `run.${LOOPS[phase.each]}(${name});`];
}

const linesOf = (route: Route, functions: Functions, depth: number): string[] =>
  route.flatMap((phase) => linesOfPhase(phase, functions, depth));

const sameRoute = (a: Route, b: Route): boolean => JSON.stringify(a) === JSON.stringify(b);

type MsrRoutes = ReadonlyMap<number, { readonly wrmsr: Route; readonly KVM_SET_MSRS: Route }>;

/**
 * The module that is committed.
 *
 * @throws DeriveError when two functions of the kernel's that differ have one name.
 */
export function routeModule(routes: Readonly<Record<string, Route>>, msrRoutes: MsrRoutes): string {
  const functions = new Functions();
  const method = (name: string, route: Route): string[] => [
    `${name}(run) {`,
    ...inside(linesOf(route, functions, 2)),
    '},',
  ];
  const inputs = Object.entries(routes).flatMap(([type, route]) => method(type, route));
  const msrs = [...msrRoutes].flatMap(([index, { wrmsr, KVM_SET_MSRS }]) => {
    const name = `msr_${index.toString(16)}`;
    if (sameRoute(wrmsr, KVM_SET_MSRS)) {
      functions.declare(name, linesOf(wrmsr, functions, 1));
      return [`[0x${index.toString(16)}, { wrmsr: ${name}, KVM_SET_MSRS: ${name} }],`];
    }
    const both = [...method('wrmsr', wrmsr), ...method('KVM_SET_MSRS', KVM_SET_MSRS)];
    return ['[', ...inside([`0x${index.toString(16)},`, '{', ...inside(both), '},']), '],'];
  });
  return [
    '/** What each input does: the routes as code. Made of them by `npm run build`. */',
    "import { CONDITIONS as is } from '../conditions.ts';",
    "import type { MsrWalks, Walks } from '../plan.ts';",
    "import type { Run } from '../run.ts';",
    '',
    ...functions.lines,
    '/** By the type of the input. */',
    'export const WALKS: Walks = {',
    ...inside(inputs),
    '};',
    '',
    '/** Of writes to MSRs, by the MSR. */',
    'export const MSR_WALKS: MsrWalks = new Map([',
    ...inside(msrs),
    ']);',
    '',
  ].join('\n');
}
