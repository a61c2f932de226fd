/**
 * The key to which bundles for this machine may be encrypted. The agent reads it, because it reads bundles; so does root’s command line.
 */
import { dirname, join } from 'node:path';
import { generateIdentity, recipientOf } from '../../bundle/encrypted.ts';
import { keyLines } from '../../core/bundle/encrypted.ts';
import { messageOf, NixmakerError } from '../../core/errors.ts';
import { limits } from '../../core/limits.ts';
import { makeFolder } from '../../files/folder.ts';
import { readForeign, withForeign } from '../../files/foreign.ts';
import { readIfThere } from '../../files/read.ts';
import { writeAtomically } from '../../files/write.ts';
import type { Machine } from './machine.ts';

type Keeper = Pick<Machine, 'settings' | 'agentDirectory'>;

const fileName = 'age.identity';

const identityFile = ({ settings, agentDirectory }: Keeper) =>
  settings.identityFile ?? join(agentDirectory, fileName);

/** The lines of an identity file as `age-keygen` writes it. @throws NixmakerError `key-malformed` if it can’t be read */
export async function readIdentities(machine: Keeper): Promise<string[]> {
  const text = await readIdentityFile(machine).catch((cause: unknown) => {
    const why = `cannot read ${identityFile(machine)}: ${messageOf(cause)}`;
    throw new NixmakerError('key-malformed', why, { cause });
  });
  return keyLines(text ?? '');
}

/** A file named by the operator belongs to the operator; otherwise it belongs to the agent, in one of the agent’s folders. */
async function readIdentityFile({ settings, agentDirectory }: Keeper): Promise<string | undefined> {
  if (settings.identityFile !== undefined) return readIfThere(settings.identityFile);
  return (await readForeign(agentDirectory, fileName, limits.identityBytes))?.toString('utf8');
}

/** Creates the key if there is none. @returns the recipients, in age’s text form */
export async function ageRecipients(machine: Keeper): Promise<string[]> {
  await becomeAgent(machine);
  const there = await readIdentities(machine);
  if (there.length > 0) return Promise.all(there.map(recipientOf));
  const identity = await generateIdentity();
  await makeFolder(dirname(identityFile(machine)));
  await writeAtomically(identityFile(machine), async (out) => {
    await out.chmod(0o600);
    await out.writeFile(`${identity}\n`);
  });
  return [await recipientOf(identity)];
}

/** The recipients as they are, for receipts; undefined if there is no key, or it can’t be used. */
export async function knownRecipients(machine: Keeper): Promise<string[] | undefined> {
  try {
    const identities = await readIdentities(machine);
    return identities.length === 0 ? undefined : await Promise.all(identities.map(recipientOf));
  } catch {
    // Told when a bundle needs it.
    return undefined;
  }
}

/**
 * Threat: a compromised agent puts a link in the file’s place, so that root writes to its target or gives it away. The file is therefore
 * created with the agent’s own rights.
 */
async function becomeAgent({ settings, agentDirectory }: Keeper): Promise<void> {
  if (process.getuid?.() !== 0 || settings.identityFile !== undefined) return;
  await makeFolder(agentDirectory);
  const { uid, gid } = await withForeign(agentDirectory, ({ handle }) => handle.stat());
  process.setgroups?.([gid]);
  process.setegid?.(gid);
  process.seteuid?.(uid);
}
