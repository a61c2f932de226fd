/** Which result of several the exit code of a run tells, and what may pass by itself. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isPassing, safetyOf, worstExit } from '../../src/core/catalogue.ts';
import { type ExitCode, exitCodes } from '../../src/core/errors.ts';

const {
  done,
  deferred,
  interrupted,
  refusedByPolicy,
  badBundle,
  nixUnavailable,
  usage,
  badConfiguration,
  fault,
} = exitCodes;
/** From the mildest to the gravest. */
const ascending = [
  ...[done, deferred, interrupted, refusedByPolicy, badBundle],
  ...[nixUnavailable, usage, badConfiguration, fault],
];

test('of several results the gravest is told, in whatever order they come; of none that all is done', () => {
  assert.equal(worstExit([]), done);
  assert.deepEqual(new Set(ascending), new Set(Object.values(exitCodes)));
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...ascending), { minLength: 1, maxLength: 5 }), (codes) => {
      const sorted: ExitCode[] = ascending.filter((code) => codes.includes(code));
      assert.equal(worstExit(codes), sorted.at(-1));
    }),
  );
});

test('what may succeed later by itself is what waits, what was interrupted, and a Nix that does not answer', () => {
  assert.deepEqual(ascending.filter(isPassing), [deferred, interrupted, nixUnavailable]);
});

test('a code says that the profile was touched only where it may have been', () => {
  assert.match(safetyOf('rollback-failed'), /^The system profile was changed/);
  assert.match(safetyOf('sequence-older'), /^The running system was not changed/);
});
