/**
 * The key to which bundles for this machine may be encrypted. The agent reads it, who reads bundles; root’s command line
 * does as well.
 */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { generateIdentity, recipientOf } from '../../bundle/encrypted.ts';
import { keyLines } from '../../core/bundle/encrypted.ts';
import { messageOf, NixmakerError } from '../../core/errors.ts';
import { makeFolder } from '../../files/folder.ts';
import { readIfThere } from '../../files/read.ts';
import { writeDurably } from '../../state/durable.ts';
import type { Machine } from './machine.ts';

type Keeper = Pick<Machine, 'settings' | 'agentDirectory'>;

const identityFile = ({ settings, agentDirectory }: Keeper) =>
  settings.identityFile ?? join(agentDirectory, 'age.identity');

/** Lines of an identity file as `age-keygen` writes it. @throws NixmakerError `key-malformed` where it can’t be read */
export async function readIdentities(machine: Keeper): Promise<string[]> {
  const file = identityFile(machine);
  const text = await readIfThere(file).catch((cause: unknown) => {
    throw new NixmakerError('key-malformed', `${file} can’t be read: ${messageOf(cause)}`, { cause });
  });
  return keyLines(text ?? '');
}

/** Makes one where there is none. @returns the recipients, in age’s text form */
export async function ageRecipients(machine: Keeper): Promise<string[]> {
  await becomeAgent(machine);
  const there = await readIdentities(machine);
  if (there.length > 0) return Promise.all(there.map(recipientOf));
  const identity = await generateIdentity();
  await writeDurably(identityFile(machine), `${identity}\n`, 0o600);
  return [await recipientOf(identity)];
}

/**
 * The file is the agent’s, in a folder of the agent’s. Threat: an agent that was taken over puts a link in its place, for root
 * to write to, or to give away what it leads to. So it is made with the agent’s own rights.
 */
async function becomeAgent({ settings, agentDirectory }: Keeper): Promise<void> {
  // A file that the operator has named is the operator’s.
  if (process.getuid?.() !== 0 || settings.identityFile !== undefined) return;
  await makeFolder(agentDirectory);
  const { uid, gid } = await stat(agentDirectory);
  process.setgroups?.([gid]);
  process.setegid?.(gid);
  process.seteuid?.(uid);
}
