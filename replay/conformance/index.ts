/**
 * Conformance: does the model predict what a real kernel did?
 *
 * @module
 */
export { profileOfRelease } from '../assimilate/profile.ts';
export { ActionError, parseActions } from './action.ts';
export { findRecordings } from './find.ts';
export { logOfRecording } from './log-of.ts';
export { predict } from './predict.ts';
export { type Conformance, conformanceOf } from './profile-of.ts';
export { type CheckedRecording, RecordingError, readRecording } from './recording.ts';
export { conformanceJson, conformanceText, type Total, totalOf } from './report.ts';
export { ADOPTIONS, type Adoption, Tally, type Wrong } from './tally.ts';
