/** Folders that carriers fill: whether the agent can read them, and whether root can leave receipts there. Reads only. */
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { hasErrno } from '../../core/errno.ts';
import { namesInForeign, withForeign } from '../../files/foreign.ts';
import type { Machine } from '../machine/machine.ts';
import { accessTo } from '../update/medium-access.ts';
import { unreadableFault } from '../update/unreadable.ts';
import { agentCant } from './agent-rights.ts';
import { type Found, look, ok } from './found.ts';

type Asked = Pick<Machine, 'agentDirectory' | 'clock' | 'policy' | 'role' | 'run' | 'settings'>;

export async function checkCarriers(machine: Asked): Promise<Found> {
  const { folders } = machine.policy.media;
  if (folders.length === 0) return ok('no folders of theirs');
  const found = await Promise.all(folders.map((folder) => checkFolder(machine, folder)));
  return found.find(({ verdict }) => verdict !== 'ok') ?? ok(`${folders.join(', ')} can be read`);
}

async function checkFolder(machine: Asked, folder: string): Promise<Found> {
  const { withDeadline } = accessTo(machine, { onMedium: true, path: folder });
  const reading = withDeadline(() => withForeign(folder, (open) => namesInForeign(open, 1)));
  const fault = await reading.then(
    () => undefined,
    (error: Error) => error,
  );
  if (fault !== undefined && hasErrno(fault.cause, 'ENOENT', 'ENOTDIR'))
    return look(`${folder} is no folder`, 'Make or mount it, or take it out of `media.folders`.');
  const [cant] = (await agentCant(machine, [folder])) ?? (fault === undefined ? [] : [reasonOf(fault)]);
  if (cant !== undefined)
    return look(
      `${folder}: ${cant}: nothing is taken from it`,
      'Mount it anew, or let the user nixmaker read it; the other places have their turn.',
    );
  if (!machine.policy.receipts.send) return ok('');
  const closed =
    fault ??
    (await withDeadline(() => access(folder, constants.W_OK)).then(
      () => undefined,
      (error: Error) => error,
    ));
  if (closed === undefined) return ok('');
  return look(
    `${folder}: root can’t write to it (${reasonOf(closed)}), so no receipt comes home that way`,
    'A server that takes root for nobody (`root_squash`): export it with `no_root_squash`, or make `nixmaker/receipts` in it a folder that anybody may write to. What a user has mounted (FUSE): mount it with `allow_other`. Receipts wait for another medium.',
  );
}

/** As the system says it. */
const reasonOf = (error: Error): string => unreadableFault(error.cause ?? error).detail;
