/** Linux releases as data: `v5.16` is a mainline release, compared by its two numbers. */

/** A mainline release, as in the kernel's tags. */
export type Release = `v${number}.${number}`;

/** The two numbers of a release. */
export function releaseNumbers(release: Release): readonly [major: number, minor: number] {
  const [major, minor] = release.slice(1).split('.');
  return [Number(major), Number(minor)];
}

/** Negative when `a` came out before `b`, 0 when they are one release. */
export function compareReleases(a: Release, b: Release): number {
  const [majorA, minorA] = releaseNumbers(a);
  const [majorB, minorB] = releaseNumbers(b);
  return majorA - majorB || minorA - minorB;
}
