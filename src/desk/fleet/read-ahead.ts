/** Receipts one after another, with small ones read ahead. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fewAhead } from '../../bundle/at-once.ts';

/** Bytes. Threat: a machine whose receipts are as long as allowed, several of them in memory at once. */
const large = 256 * 1024;

/** In the order of their names. @param read never throws */
export async function* readAhead<R>(
  { folder, names }: { readonly folder: string; readonly names: readonly string[] },
  read: (name: string) => Promise<R>,
): AsyncGenerator<R, void, void> {
  const begun = fewAhead(names, async (name) => {
    const found = await stat(join(folder, name)).catch(() => undefined);
    if (found !== undefined && found.size > large) return { later: () => read(name) };
    return { now: await read(name) };
  });
  for await (const one of begun) yield 'now' in one ? one.now : await one.later();
}
