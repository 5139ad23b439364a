/** Parameters of the histories; each uses those that it speaks of. */
import { ntpPpm, tscKhz } from '../common.ts';
import { duration, khz, number } from '../params.ts';

export const HISTORY_PARAMS = {
  uptime: duration('1d', 'how long the guest has run', { least: '1s', most: '30d' }),
  tscKhz: tscKhz('3000000'),
  guestKhz: khz('2500000', 'frequency that the VMM gives the guest’s TSC', {
    least: '500000',
    most: '5000000',
  }),
  catchupKhz: khz('3500000', 'the same where the hardware does not scale (patch 10)', {
    least: '500000',
    most: '5000000',
  }),
  destinationKhz: khz('2600000', 'frequency of another host’s TSC (patch 7)', {
    least: '500000',
    most: '5000000',
  }),
  ntpPpm: ntpPpm(),
  pause: duration('1s', 'time between saving and restoring, or by which a clock is set back', {
    least: '1us',
    most: '1h',
  }),
  times: number('10', 'how often something is repeated', { least: '1', most: '50' }),
} as const;
