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

/** What an actor is sent: one signal of its machine, with everything its recipes may read. */
export interface SignalEvent<N extends string> extends EventObject {
  readonly type: N;
  readonly ctx: Ctx;
}

type Predicate<S> = (self: Readonly<S>, ctx: Ctx) => boolean;
type Recipe<S> = (self: S, ctx: Ctx) => void;

type Args<S, N extends string> = { context: Holder<S>; event: SignalEvent<N> };

/** Guards as XState calls them. */
type BoundGuards<S, N extends string, G> = { [K in keyof G]: (args: Args<S, N>) => boolean };

/** Actions as XState runs them. */
type BoundActions<S, N extends string, A> = {
  [K in keyof A]: AssignAction<Holder<S>, SignalEvent<N>, undefined, SignalEvent<N>, never>;
};

/** What binds the code of a machine with struct `S` and signals `N`. */
interface Binder<S, N extends string> {
  guards<const G extends Record<string, Predicate<S>>>(guards: G): BoundGuards<S, N, G>;
  actions<const A extends Record<string, Recipe<S>>>(recipes: A): BoundActions<S, N, A>;
}

/**
 * Binds guards and recipes by their names. The engine hands each transition a copy of the struct,
 * which its recipes then change in place.
 */
export const bind = <S, N extends string>(): Binder<S, N> => ({
  guards<G extends Record<string, Predicate<S>>>(guards: G) {
    const bound = Object.entries<Predicate<S>>(guards).map(([name, guard]) => [
      name,
      ({ context, event }: Args<S, N>) => guard(context.s, event.ctx),
    ]);
    return Object.fromEntries(bound) as BoundGuards<S, N, G>;
  },
  actions<A extends Record<string, Recipe<S>>>(recipes: A) {
    const bound = Object.entries<Recipe<S>>(recipes).map(([name, recipe]) => [
      name,
      assign(({ context, event }: Args<S, N>) => {
        recipe(context.s, event.ctx);
        return context;
      }),
    ]);
    return Object.fromEntries(bound) as BoundActions<S, N, A>;
  },
});
