/**
 * The key to which bundles for this machine may be encrypted. The agent reads it, who reads bundles; root’s command line
 * does as well.
 */
import { chmod, chown, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { generateIdentity, recipientOf } from '../bundle/sealed.ts';
import { messageOf, NixmakerError } from '../core/errors.ts';
import { makeFolder, readIfThere, writeDurably } from '../state/durable.ts';
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
  const lines = (text ?? '').split('\n').map((line) => line.trim());
  return lines.filter((line) => line !== '' && !line.startsWith('#'));
}

/** Makes one where there is none. @returns the recipients, in age’s text form */
export async function ageRecipients(machine: Keeper): Promise<string[]> {
  const there = await readIdentities(machine);
  if (there.length > 0) return Promise.all(there.map(recipientOf));
  const identity = await generateIdentity();
  const file = identityFile(machine);
  await makeFolder(machine.agentDirectory);
  await writeDurably(file, `${identity}\n`, 0o600);
  await chmod(file, 0o600);
  // Made by root, it is the agent’s all the same.
  const { uid, gid } = await stat(machine.agentDirectory);
  if (process.getuid?.() === 0 && settingsAreDefault(machine)) await chown(file, uid, gid);
  return [await recipientOf(identity)];
}

/** A file that the operator has named is the operator’s to give to somebody. */
const settingsAreDefault = ({ settings }: Keeper) => settings.identityFile === undefined;
