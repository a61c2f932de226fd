/** Tables of hosts at the desk: made from what a person wrote, signed, copied to media. */
import { join } from 'node:path';
import { hostsTableOf, lockOf } from '../../bundle/pool.ts';
import { messageOf, NixmakerError } from '../../core/errors.ts';
import { encodeHosts, type HostsTable, hostsExtension, parseHosts } from '../../core/install/hosts.ts';
import { makeFolders } from '../../files/folder.ts';
import { isFolder, readText } from '../../files/read.ts';
import { inTurn } from '../../files/turn.ts';
import { writeWhole } from '../../files/write.ts';
import { holdProgram } from '../../process/run.ts';
import { addHostsSignature, hostsMessage, peekHosts, unsignedHosts } from '../../signing/hosts.ts';
import type { Signer } from '../../signing/signer.ts';
import { alone } from './alone.ts';

const readHostsText = (path: string) => readText(path, 'hosts-malformed');

/**
 * @param from handwritten JSON: `schema`, `createdAt`, `unattended` and `hosts`
 * @throws NixmakerError `usage`, `hosts-malformed`
 */
export async function makeHostsFile(from: string, to: string): Promise<HostsTable> {
  if (!to.endsWith(hostsExtension))
    throw new NixmakerError('usage', `a table’s file name must end with ${hostsExtension}`);
  let input: unknown;
  try {
    input = JSON.parse(await readHostsText(from));
  } catch (cause) {
    if (cause instanceof NixmakerError) throw cause;
    throw new NixmakerError('hosts-malformed', `${from}: ${messageOf(cause)}`, { cause });
  }
  const text = encodeHosts(input);
  await writeWhole(to, unsignedHosts(text));
  return parseHosts(text);
}

export const signHostsFile = (path: string, signer: Signer): Promise<void> =>
  alone(path, async () => {
    const envelope = await readHostsText(path);
    const { text } = peekHosts(envelope);
    await writeWhole(path, addHostsSignature(envelope, signer.name, await signer.sign(hostsMessage(text))));
  });

export const inspectHostsFile = async (path: string): Promise<ReturnType<typeof peekHosts>> =>
  peekHosts(await readHostsText(path));

/** A medium has one; another takes its place. @throws NixmakerError `no-medium`, `hosts-malformed`, `hosts-untrusted` */
export async function putHosts(medium: string, file: string): Promise<void> {
  if (!(await isFolder(medium)))
    throw new NixmakerError('no-medium', `${medium} is not a folder; is the medium mounted?`);
  const envelope = await readHostsText(file);
  if (peekHosts(envelope).claimedSigners.length === 0)
    throw new NixmakerError('hosts-untrusted', `${file} is not signed`);
  await makeFolders(join(hostsTableOf(medium), '..'));
  await inTurn({ hold: holdProgram, file: lockOf(medium), verb: 'put' }, () =>
    writeWhole(hostsTableOf(medium), envelope),
  );
}
