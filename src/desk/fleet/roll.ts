/** Which hosts should exist, according to a person: expected although they never reported, or retired. */
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { readSmall } from '../../bundle/file.ts';
import { NixmakerError } from '../../core/errors.ts';
import { isHostName } from '../../core/schema.ts';
import * as z from '../../core/zod.ts';
import { writeWhole } from '../../files/write.ts';
import { giveBack, wordFileOf } from './folder.ts';

const word = z.strictObject({
  schema: z.literal(1),
  status: z.enum(['expected', 'retired']),
  /** This desk’s time. */
  at: z.string().check(z.maxLength(64)),
  reason: z.optional(z.string().check(z.maxLength(1000))),
});

export type HostWord = Omit<z.infer<typeof word>, 'schema'>;

/** The last entry about a host. An unreadable one does not count: the host is shown, not hidden. */
export async function readWord(directory: string, host: string): Promise<HostWord | undefined> {
  try {
    const bytes = await readSmall(wordFileOf(directory, host), 65_536);
    return bytes === undefined ? undefined : word.parse(JSON.parse(bytes.toString('utf8')));
  } catch {
    return undefined;
  }
}

/** @throws NixmakerError `host-name-unusable` before anything is written */
export async function writeWord(directory: string, hosts: readonly string[], said: HostWord): Promise<void> {
  const unusable = hosts.find((host) => !isHostName(host));
  if (unusable !== undefined) throw new NixmakerError('host-name-unusable', `“${unusable}”`);
  const text = `${JSON.stringify(word.parse({ schema: 1, ...said }))}\n`;
  for (const host of hosts) {
    await mkdir(dirname(wordFileOf(directory, host)), { recursive: true });
    await writeWhole(wordFileOf(directory, host), text);
  }
  await giveBack(directory);
}
