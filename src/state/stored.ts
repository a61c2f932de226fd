/** JSON of ours on disk, written whole and not checksummed: where it is not as it was written, the disk is failing, or somebody else wrote. */
import * as z from 'zod';
import { NixmakerError } from '../core/errors.ts';

/**
 * Of our own files, where a form that we do not know must not cost what we do know: a machine that was rolled back to an older nixmaker has
 * the state of the newer one. Fields are added under the same number; under a higher one those that are here stay and mean the same
 * (docs/adr/0024-state-of-a-newer-nixmaker.md).
 */
export const anySchema = z.number().int().min(1);

/** @throws NixmakerError `state-corrupt` */
export function parseStored<T>(text: string, path: string, parser: z.ZodType<T>): T {
  try {
    return parser.parse(JSON.parse(text));
  } catch (cause) {
    throw new NixmakerError('state-corrupt', `${path} is damaged`, { cause });
  }
}
