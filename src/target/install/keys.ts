/** The new machine’s own keys, there before its first start: what it signs receipts with, and what is encrypted to it. */
import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { generateIdentity, recipientOf } from '../../bundle/encrypted.ts';
import { keyLines } from '../../core/bundle/encrypted.ts';
import type { Settings } from '../../core/policy/settings.ts';
import { makeFolder } from '../../files/folder.ts';
import { readIfThere } from '../../files/read.ts';
import { writeAtomically } from '../../files/write.ts';

/** Gone at each start: whoever puts it there does so again. */
const passing = '/run/';

/**
 * The key to which bundles for the machine are encrypted, made if there is none. systemd gives a new state folder, with what is in it, to
 * the agent at its first start (systemd.exec(5), StateDirectory=); in one that is there, it belongs to whoever has the folder.
 * @returns the recipients; none if the settings name a secret that others provide
 */
export async function ensureAgeIdentity(
  root: string,
  { stateDirectory, identityFile }: Pick<Settings, 'stateDirectory' | 'identityFile'>,
): Promise<string[]> {
  if (identityFile?.startsWith(passing) === true) return [];
  const path = join(root, identityFile ?? `${stateDirectory}/age.identity`);
  const there = keyLines((await readIfThere(path)) ?? '');
  if (there.length > 0) return Promise.all(there.map(recipientOf));
  const identity = await generateIdentity();
  await makeFolder(dirname(path));
  const { uid, gid } = await stat(dirname(path));
  await writeAtomically(path, async (out) => {
    await out.chmod(0o600);
    if (uid !== 0) await out.chown(uid, gid);
    await out.writeFile(`${identity}\n`);
  });
  return [await recipientOf(identity)];
}

/** Public halves of the SSH host keys that are there. */
export async function sshPublicKeys(root: string, paths: readonly string[]): Promise<string[]> {
  const texts = await Promise.all(paths.map((path) => readIfThere(join(root, `${path}.pub`))));
  return texts.flatMap((text) => (text === undefined ? [] : [text.trim()]));
}
