/**
 * masterclock: the clock of KVM guests.
 *
 * @packageDocumentation
 */
export * from '../events/index.ts';
export * from '../replay/index.ts';
export * from './num/index.ts';
