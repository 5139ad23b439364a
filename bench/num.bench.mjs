/**
 * Exact arithmetic: ours against the plain 128-bit BigInt product, in one process.
 *
 * Run after a build. NUM_DIST names another directory that holds the built `src/num`.
 */
import { env, hrtime } from 'node:process';
import { pathToFileURL } from 'node:url';
import { isQuick } from './lib/quick.mjs';

const dist = env.NUM_DIST
  ? new URL('index.js', pathToFileURL(`${env.NUM_DIST}/`))
  : new URL('../dist/src/num/index.js', import.meta.url);
const { addU64, mulU64U64Shr, scaleDelta, scaleTsc, pvclockRead, array, s8, struct, u32, u64 } =
  await import(dist.href);

const COUNT = 1024;
const ROUNDS = isQuick ? 1 : 9;
const WARM_UP_ROUNDS = isQuick ? 0 : 3;
const PASSES = isQuick ? 10 : 300;

const a = new BigUint64Array(COUNT);
const b = new BigUint64Array(COUNT);
const mul = new Uint32Array(COUNT);
const out = new BigUint64Array(COUNT);
let seed = 88172645463325252n;
for (let i = 0; i < COUNT; i++) {
  for (const column of [a, b]) {
    seed = BigInt.asUintN(64, seed * 6364136223846793005n + 1442695040888963407n);
    column[i] = seed;
  }
  mul[i] = Number(seed >> 33n);
}

/** Median of each body's nanoseconds an operation; rounds alternate so that noise hits all alike. */
function measure(bodies) {
  const times = bodies.map(() => []);
  for (let round = -WARM_UP_ROUNDS; round < ROUNDS; round++) {
    bodies.forEach((body, which) => {
      const start = hrtime.bigint();
      for (let pass = 0; pass < PASSES; pass++) body();
      const ns = Number(hrtime.bigint() - start) / PASSES / COUNT;
      if (round >= 0) times[which].push(ns);
    });
  }
  return times.map((list) => list.sort((x, y) => x - y)[ROUNDS >> 1]);
}

function compare(title, peer, plain, ours) {
  plain();
  const expected = out.slice();
  ours();
  if (expected.some((value, i) => value !== out[i])) throw new Error(`${title}: results differ`);
  const [plainNs, oursNs] = measure([plain, ours]);
  const ratio = (plainNs / oursNs).toFixed(1);
  console.log(
    `${title.padEnd(30)} ${oursNs.toFixed(2).padStart(7)} ns   ` +
      `${peer} ${plainNs.toFixed(2).padStart(7)} ns   ratio ${ratio}`,
  );
}

for (const shift of [-1, 0, 1, -7, 7]) {
  compare(
    `scaleDelta, shift ${shift}`,
    'BigInt (d*m)>>32',
    () => {
      for (let i = 0; i < COUNT; i++) {
        const d = shift < 0 ? a[i] >> BigInt(-shift) : BigInt.asUintN(64, a[i] << BigInt(shift));
        out[i] = BigInt.asUintN(64, (d * BigInt(mul[i])) >> 32n);
      }
    },
    () => {
      for (let i = 0; i < COUNT; i++) out[i] = scaleDelta(a[i], mul[i], shift);
    },
  );
}
for (const shift of [32, 48, 64, 20]) {
  const wide = BigInt(shift);
  compare(
    `mulU64U64Shr, shift ${shift}`,
    'BigInt (a*b)>>s ',
    () => {
      for (let i = 0; i < COUNT; i++) out[i] = BigInt.asUintN(64, (a[i] * b[i]) >> wide);
    },
    () => {
      for (let i = 0; i < COUNT; i++) out[i] = mulU64U64Shr(a[i], b[i], shift);
    },
  );
}
compare(
  'scaleTsc VMX, plus offset',
  'BigInt (a*b)>>s ',
  () => {
    for (let i = 0; i < COUNT; i++) out[i] = BigInt.asUintN(64, ((a[i] * b[i]) >> 48n) + a[i]);
  },
  () => {
    for (let i = 0; i < COUNT; i++) out[i] = addU64(scaleTsc(a[i], b[i], 48), a[i]);
  },
);

const Page = struct('Page', {
  tscTimestamp: u64,
  systemTime: u64,
  tscToSystemMul: u32,
  tscShift: s8,
  spare: array(u64, 2),
});
const fields = { tscTimestamp: 5n, systemTime: 7n, tscToSystemMul: 3435973836, tscShift: -1 };
const page = Page.of(fields);
compare(
  'pvclockRead of a struct',
  'BigInt, an object',
  () => {
    for (let i = 0; i < COUNT; i++) {
      const d = BigInt.asUintN(64, a[i] - fields.tscTimestamp) >> BigInt(-fields.tscShift);
      out[i] = BigInt.asUintN(64, fields.systemTime + ((d * BigInt(fields.tscToSystemMul)) >> 32n));
    }
  },
  () => {
    for (let i = 0; i < COUNT; i++) out[i] = pvclockRead(page, a[i]);
  },
);
const counter = { systemTime: 0n };
compare(
  'u64 field += in a struct',
  'bigint in an object',
  () => {
    for (let i = 0; i < COUNT; i++) {
      counter.systemTime = BigInt.asUintN(64, a[i] + b[i]);
      out[i] = counter.systemTime;
    }
  },
  () => {
    for (let i = 0; i < COUNT; i++) {
      page.systemTime = BigInt.asUintN(64, a[i] + b[i]);
      out[i] = page.systemTime;
    }
  },
);
