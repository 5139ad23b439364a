import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Observation } from '../../events/index.ts';
import { Guest } from '../../src/engine/index.ts';
import { encodePvclockPage, type PvclockPage, pvclockRead } from '../../src/num/index.ts';

const GPA = 0x1000n;

/** The pages of one history: each a write of its own, with versions as KVM counts them. */
const pages = fc.array(
  fc.record({
    tscTimestamp: fc.bigInt({ min: 0n, max: 1n << 40n }),
    systemTime: fc.bigInt({ min: 0n, max: 1n << 40n }),
    tscToSystemMul: fc.integer({ min: 1, max: 0xffff_ffff }),
    tscShift: fc.integer({ min: -8, max: 8 }),
    flags: fc.integer({ min: 0, max: 3 }),
  }),
  { minLength: 1, maxLength: 6 },
);

/** What happens next: KVM writes its next bytes, or the guest takes its next step. */
const turns = fc.array(fc.boolean(), { minLength: 20, maxLength: 80 });

const write = (page: PvclockPage, version: number, length: number): Observation => {
  const bytes = new Uint8Array(32);
  encodePvclockPage({ ...page, version }, bytes);
  return { type: 'guest_write', vm: 0, gpa: GPA, bytes: bytes.slice(0, length), what: 'pvclock' };
};

/** KVM’s writes, torn as far as its protocol allows: the data in two halves. */
function writesOf(page: PvclockPage): Observation[] {
  const { version } = page;
  return [
    write(page, version - 1, 4),
    write(page, version - 1, 16),
    write(page, version - 1, 32),
    write(page, version, 4),
  ];
}

/** Each step of a read begins where the one before ended, whatever was written in between. */
class Reader {
  guest = new Guest();
  readonly results: { ns: bigint; tsc: bigint }[] = [];
  #tsc = 1n << 41n;
  #used = 0n;

  step(): void {
    this.#tsc += 3n;
    const { read } = this.guest.state;
    if (read === 'idle') this.guest.begin(0);
    else if (read === 'begun') {
      this.#used = this.#tsc;
      this.guest.compute(this.#tsc);
    } else {
      const ns = this.guest.finish();
      if (ns !== undefined) this.results.push({ ns, tsc: this.#used });
    }
  }
}

test('a read is of one page that was written whole, however the writes fall between its steps', () => {
  fc.assert(
    fc.property(pages, turns, (given, order) => {
      const all = given.map((page, index) => ({ ...page, version: 2 * (index + 1), flags: 1 }));
      const reader = new Reader();
      reader.guest.register(0, GPA);
      const pending = all.flatMap(writesOf);
      for (const kvm of order) {
        const next = kvm ? pending.shift() : undefined;
        if (next === undefined) reader.step();
        else reader.guest.observe(next);
      }
      const possible = (tsc: bigint) => [0n, ...all.map((page) => pvclockRead(page, tsc))];
      for (const { ns, tsc } of reader.results) expect(possible(tsc)).toContain(ns);
    }),
  );
});

test('a guest that went through JSON between any two steps reads the same', () => {
  fc.assert(
    fc.property(pages, turns, fc.array(fc.boolean()), (given, order, breaks) => {
      const play = (persists: boolean) => {
        const reader = new Reader();
        reader.guest.register(0, GPA);
        const pending = given
          .map((page, index) => ({ ...page, version: 2 * (index + 1) }))
          .flatMap(writesOf);
        for (const [index, kvm] of order.entries()) {
          if (persists && breaks[index] === true) {
            const from = JSON.parse(JSON.stringify(reader.guest.persist()));
            reader.guest = new Guest({ from });
          }
          const next = kvm ? pending.shift() : undefined;
          if (next === undefined) reader.step();
          else reader.guest.observe(next);
        }
        return { results: reader.results, guest: reader.guest.persist() };
      };
      expect(play(true)).toEqual(play(false));
    }),
  );
});

test('time never goes back on any vCPU while the flag does not count', () => {
  fc.assert(
    fc.property(pages, fc.array(fc.nat({ max: 5 })), (given, order) => {
      const guest = new Guest({ cpuidStableBit: false });
      for (const [vcpu, page] of given.entries()) {
        const gpa = GPA * BigInt(vcpu + 1);
        guest.register(vcpu, gpa);
        guest.observe({ ...write({ ...page, version: 2 }, 2, 32), gpa } as Observation);
      }
      let last = 0n;
      for (const [index, choice] of order.entries()) {
        const now = guest.read(choice % given.length, BigInt(index) + (1n << 41n))!;
        expect(now).toBeGreaterThanOrEqual(last);
        last = now;
      }
    }),
  );
});
