/**
 * Clock reads taken from a recording: the closed list of what no model could compute.
 *
 * Each value is checked against the span in which it must have been read, is taken once, and is
 * never counted as predicted.
 */
import type { ReadingName } from '../../events/index.ts';
import type { ReadingPlace, ReadingSource } from '../../src/engine/index.ts';
import { isTracepoint } from '../assimilate/tracepoints.ts';
import { createNs, setClockNs, setClockRealtime, setClockTsc } from './adopt-clock.ts';
import { pageNs, pageTsc } from './adopt-page.ts';
import { snapshot, snapshotNs } from './adopt-snapshot.ts';
import { exitTsc, loadTsc, syncNs, syncTsc, writeTsc } from './adopt-tsc.ts';
import type { Here, Sources } from './sources.ts';

/** Takes clock reads from what the recording shows. */
export class Adopter {
  readonly #sources: Sources;

  constructor(sources: Sources) {
    this.#sources = sources;
  }

  /** The reads of one input. */
  source(here: Here): ReadingSource {
    return (name, place) => this.#read(name, place, here);
  }

  #read(name: ReadingName, place: ReadingPlace, here: Here): bigint | undefined {
    const next = here.settled + place.observed.filter(isTracepoint).length;
    switch (name) {
      case 'sync.tsc':
        return syncTsc(this.#sources, here, next, place);
      case 'write.tsc':
        return writeTsc(this.#sources, here, next);
      case 'exit.tsc':
        return exitTsc(this.#sources, here, place);
      case 'load.tsc2':
      case 'sync.tsc2':
        return loadTsc(this.#sources, here, next, place, name);
      case 'snapshot.tsc':
        return snapshot(this.#sources, here, next)?.hostTsc;
      case 'snapshot.ns':
        return snapshotNs(this.#sources, here, next);
      case 'update.tsc':
        return pageTsc(this.#sources, here, next, place);
      case 'update.ns':
        return pageNs(this.#sources, here, next, place);
      case 'create.ns':
        return createNs(this.#sources, here);
      case 'setClock.ns':
        return setClockNs(this.#sources, here);
      case 'realtime.ns':
        return setClockRealtime(this.#sources, here);
      case 'getClock.tsc':
        return setClockTsc(this.#sources, here, next);
      case 'getClock.ns':
        return here.placed.action?.op === 'KVM_SET_CLOCK'
          ? setClockNs(this.#sources, here)
          : undefined;
      case 'sync.ns':
        return syncNs(this.#sources, here, next, place);
      default:
        return undefined;
    }
  }
}
