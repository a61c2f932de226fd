/** Carriers’ folders: whether the agent can read them, and whether root can leave receipts there. Reads only. */
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { hasErrno } from '../../core/errno.ts';
import { namesInForeign, withForeign } from '../../files/foreign.ts';
import type { Machine } from '../machine/machine.ts';
import { carriersFolders } from '../machine/places.ts';
import { accessTo } from '../update/medium-access.ts';
import { unreadableFault } from '../update/unreadable.ts';
import { agentCant } from './agent-rights.ts';
import { type Found, look, ok } from './found.ts';

type Asked = Pick<Machine, 'agentDirectory' | 'clock' | 'policy' | 'role' | 'run' | 'settings'>;

export async function checkCarriers(machine: Asked): Promise<Found> {
  const folders = carriersFolders(machine);
  if (folders.length === 0) return ok('no carrier folders');
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
    return look(`${folder} is not a folder`, 'Create or mount it, or remove it from `media.folders`.');
  const [cant] = (await agentCant(machine, [folder])) ?? (fault === undefined ? [] : [reasonOf(fault)]);
  if (cant !== undefined)
    return look(
      `${folder}: ${cant}; nothing is taken from it`,
      'Mount it again, or let the user nixmaker read it. Other places are still served.',
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
    `${folder}: root cannot write to it (${reasonOf(closed)}), so receipts cannot travel home this way`,
    'If a file server maps root to nobody (`root_squash`), export with `no_root_squash`, or create a `nixmaker/receipts` in it that anyone may write to. If a user mounted it (FUSE), mount it with `allow_other`. Receipts wait for another medium.',
  );
}

/** In the system’s own words. */
const reasonOf = (error: Error): string => unreadableFault(error.cause ?? error).detail;
