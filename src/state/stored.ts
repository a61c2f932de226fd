/** Our own JSON on disk, written whole and without a checksum: if it is not as written, the disk is failing, or somebody else wrote it. */
import { NixmakerError } from '../core/errors.ts';
import * as z from '../core/zod.ts';

/**
 * For our own files, where an unknown form must not cost us what we do know: a machine that was rolled back to an older nixmaker has the
 * newer one’s state. Fields may be added under the same number; under a higher one the existing fields stay and mean the same
 * (docs/adr/0024-state-of-a-newer-nixmaker.md).
 */
export const anySchema = z.int().check(z.gte(1));

/** @throws NixmakerError `state-corrupt` */
export function parseStored<T>(text: string, path: string, parser: z.ZodMiniType<T>): T {
  try {
    return parser.parse(JSON.parse(text));
  } catch (cause) {
    throw new NixmakerError('state-corrupt', `${path} is damaged`, { cause });
  }
}
