/** With `--quick` nothing is warmed up and little is measured: to see that a bench runs. */
import { argv } from 'node:process';

export const isQuick = argv.includes('--quick');
