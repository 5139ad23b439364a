/**
 * Puts recipes and guards into the form XState wants.
 *
 * A machine's config names its guards and actions and contains no functions: it can be drawn,
 * published as JSON and turned into tables. This is the only place where the names meet the code.
 */
import { type AssignAction, assign, type EventObject } from 'xstate';
import type { Ctx } from '../src/clock/index.ts';

/** The context of a machine's actor: its struct, a copy that the current transition may change. */
export interface Holder<S> {
  readonly s: S;
}

/**
 * What an actor is sent: one signal of its machine, with everything its recipes may read. That is
 * `Ctx` for the machines of the kernel; the VMM and the guest have their own.
 */
export interface SignalEvent<N extends string, C = Ctx> extends EventObject {
  readonly type: N;
  readonly ctx: C;
}

type Predicate<S, C> = (self: Readonly<S>, ctx: C) => boolean;
type Recipe<S, C> = (self: S, ctx: C) => void;

type Args<S, N extends string, C> = { context: Holder<S>; event: SignalEvent<N, C> };

/** Guards as XState calls them. */
type BoundGuards<S, N extends string, C, G> = { [K in keyof G]: (args: Args<S, N, C>) => boolean };

/** Actions as XState runs them. */
type BoundActions<S, N extends string, C, A> = {
  [K in keyof A]: AssignAction<Holder<S>, SignalEvent<N, C>, undefined, SignalEvent<N, C>, never>;
};

/** What binds the code of a machine with struct `S` and signals `N`, whose recipes read a `C`. */
interface Binder<S, N extends string, C> {
  guards<const G extends Record<string, Predicate<S, C>>>(guards: G): BoundGuards<S, N, C, G>;
  actions<const A extends Record<string, Recipe<S, C>>>(recipes: A): BoundActions<S, N, C, A>;
}

/**
 * Binds guards and recipes by their names. The engine hands each transition a copy of the struct,
 * which its recipes then change in place.
 */
export const bind = <S, N extends string, C = Ctx>(): Binder<S, N, C> => ({
  guards<G extends Record<string, Predicate<S, C>>>(guards: G) {
    const bound = Object.entries<Predicate<S, C>>(guards).map(([name, guard]) => [
      name,
      ({ context, event }: Args<S, N, C>) => guard(context.s, event.ctx),
    ]);
    return Object.fromEntries(bound) as BoundGuards<S, N, C, G>;
  },
  actions<A extends Record<string, Recipe<S, C>>>(recipes: A) {
    const bound = Object.entries<Recipe<S, C>>(recipes).map(([name, recipe]) => [
      name,
      assign(({ context, event }: Args<S, N, C>) => {
        recipe(context.s, event.ctx);
        return context;
      }),
    ]);
    return Object.fromEntries(bound) as BoundActions<S, N, C, A>;
  },
});
