/**
 * What each recipe touches while histories happen: fields of its struct, and whether it shows
 * something or reads a clock. Two recipes commute when neither writes what the other touches, at
 * most one shows something and at most one reads a clock.
 */
import type { Ctx } from '../../src/clock/index.ts';
import type { StructBase } from '../../src/num/index.ts';

/** What one recipe touched so far. */
export interface Footprint {
  readonly reads: Set<string>;
  readonly writes: Set<string>;
  /** It emitted or told of the masterclock. */
  shows: boolean;
  readsClock: boolean;
}

type Recipe = (self: StructBase, ctx: Ctx) => void;

/** The struct, noting which fields are used. Anything but a plain field counts as written. */
function traced(self: StructBase, print: Footprint): StructBase {
  return new Proxy(self, {
    get(target, key) {
      const name = String(key);
      const field = target.layout.fields.get(name)?.field;
      (field !== undefined && !('element' in field) ? print.reads : print.writes).add(name);
      return Reflect.get(target, key, target);
    },
    set(target, key, value) {
      print.writes.add(String(key));
      return Reflect.set(target, key, value, target);
    },
  });
}

/** A context in which nothing is told to anybody, and the recipe's own struct is the traced one. */
function quiet(ctx: Ctx, level: 'host' | 'vm' | 'vcpu', self: StructBase, print: Footprint): Ctx {
  const note = (): void => {
    print.shows = true;
  };
  const read: Ctx['read'] = (name) => {
    print.readsClock = true;
    return ctx.read(name);
  };
  return Object.create(ctx, {
    [level]: { value: self },
    read: { value: read },
    out: { value: { seesWrites: true, emit: note, considered: note } },
  }) as Ctx;
}

export const newFootprint = (): Footprint => ({
  reads: new Set(),
  writes: new Set(),
  shows: false,
  readsClock: false,
});

/** Runs a recipe on a copy of its struct; what it touches. */
export function tread(
  recipe: Recipe,
  copy: StructBase,
  ctx: Ctx,
  level: 'host' | 'vm' | 'vcpu',
): Footprint {
  const print = newFootprint();
  const own = traced(copy, print);
  recipe(own, quiet(ctx, level, own, print));
  return print;
}

/** Adds what was touched another time. */
export function join(all: Footprint, once: Footprint): void {
  for (const name of once.reads) all.reads.add(name);
  for (const name of once.writes) all.writes.add(name);
  all.shows ||= once.shows;
  all.readsClock ||= once.readsClock;
}

const isDisjoint = (a: ReadonlySet<string>, b: ReadonlySet<string>): boolean =>
  [...a].every((name) => !b.has(name));

/** Whether the order of two recipes makes no difference. */
export const commute = (a: Footprint, b: Footprint): boolean =>
  isDisjoint(a.writes, b.reads) &&
  isDisjoint(a.writes, b.writes) &&
  isDisjoint(a.reads, b.writes) &&
  !(a.shows && b.shows) &&
  !(a.readsClock && b.readsClock);
