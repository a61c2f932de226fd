/** What a reader says of what it does not take. */
import assert from 'node:assert/strict';
import { NixmakerError } from '../../src/core/errors.ts';

/** What is said where it is refused; undefined where it is not. */
export function refusal(work: () => unknown): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    assert.ok(error instanceof NixmakerError, String(error));
    return `${error.code}: ${error.detail}`;
  }
}
