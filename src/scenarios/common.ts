/** Parameters that many scenarios have. */
import type { HostOptions } from '../engine/index.ts';
import { choice, duration, khz, khzOrZero, ppm } from './params.ts';

export const tscKhz = (preset = '2000000') =>
  khz(preset, 'frequency of the host’s TSC', { least: '500000', most: '5000000' });

/** Without 4578a747f3c7 KVM hangs where a guest's TSC comes to less than 1 kHz; 1 MHz is clear of that. */
export const guestKhz = (preset = '0', doc = 'frequency the guest is given, 0: the host’s') =>
  khzOrZero(preset, doc, { least: '1000', most: '5000000' });

/** Until v6.1 KVM reckons with the frequency that was known when it started; later calibration is finer. */
export const kvmKhz = () =>
  khzOrZero('0', 'frequency that KVM copied when it started (until v6.1), 0: the host’s', {
    least: '500000',
    most: '5000000',
  });

/** What `kvmKhz` means for a host. */
export const copied = (khzOfKvm: number): Partial<HostOptions> =>
  khzOfKvm === 0 ? {} : { cpuTscKhz: khzOfKvm };

/** What `guestKhz` means where a VM is launched. */
export const asked = (khzOfGuest: number): number | undefined =>
  khzOfGuest === 0 ? undefined : khzOfGuest;

export const vendor = () => choice(['vmx', 'svm'], 'whose TSC scaling: 48 or 32 fractional bits');

/** `most`: less where something happens again and again meanwhile. */
export const uptime = (preset = '30d', most = '3650d') =>
  duration(preset, 'how long the guest has run', { least: '1s', most });

/** What adjtimex() allows: 500 ppm of frequency, and a tenth by the tick. */
export const ntpPpm = (preset = '20') =>
  ppm(preset, 'by how much NTP steers the host’s CLOCK_MONOTONIC', {
    least: '-100500',
    most: '100500',
  });

/** CLOCK_REALTIME when a host booted: 2019-09-11 14:48:34 UTC, 30 days before the log of the mail. */
const BOOTED_NS = 1_568_213_314_000_000_000n;

/** A host that has just booted. */
export const booted = (khzOfTsc: number, more: Partial<HostOptions> = {}): HostOptions => ({
  tscKhz: khzOfTsc,
  offsReal: BOOTED_NS,
  ...more,
});
