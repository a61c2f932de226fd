/** JSON of ours on disk, written whole and not checksummed: where it is not as it was written, the disk is failing, or somebody else wrote. */
import type * as z from 'zod';
import { NixmakerError } from '../core/errors.ts';

/** @throws NixmakerError `state-corrupt` */
export function parseStored<T>(text: string, path: string, parser: z.ZodType<T>): T {
  try {
    return parser.parse(JSON.parse(text));
  } catch (cause) {
    throw new NixmakerError('state-corrupt', `${path} is damaged`, { cause });
  }
}
