/**
 * masterclock: the clock of KVM guests.
 *
 * Findings in recordings of real hosts (`masterclock/replay`), and the clock itself as statecharts
 * that run (`live`, `World`), under every kernel's profile.
 *
 * @packageDocumentation
 */
export * from '../events/index.ts';
export * from '../machines/index.ts';
export * from '../replay/index.ts';
export * from '../replay/log/index.ts';
export * from './check/index.ts';
export * from './engine/index.ts';
export * from './num/index.ts';
export * from './profiles/index.ts';
