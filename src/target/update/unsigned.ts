/**
 * A classic tarball without signatures, as the original tool wrote them. The command line takes one only with `--allow-unsigned`; the agent
 * never does. Nothing about it can be checked except its form.
 */
import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { readClassicMeta } from '../../bundle/classic.ts';
import type { Receipt } from '../../core/run/receipt.ts';
import type { Operation } from '../../core/schema.ts';
import { openPlainFile } from '../../files/foreign.ts';
import { importFromChrootStore } from '../../nix/import.ts';
import { openRecentNix } from '../../nix/settings.ts';
import { storeFolder } from '../../nix/store.ts';
import { dropImportRoots, rootImport } from '../machine/import-roots.ts';
import type { Machine } from '../machine/machine.ts';
import type { Root } from '../machine/root.ts';
import { Transaction } from '../machine/transaction.ts';
import { endingWhatThrows, withLock } from '../machine/with-lock.ts';
import { withNix } from '../machine/with-nix.ts';
import { realiseToplevel } from './import.ts';
import { makeWorkFolder, removeWorkFolder, unpackClassic } from './open.ts';
import { keepingRoom } from './room.ts';

export function takeUnsigned(
  machine: Machine,
  root: Root,
  { tarball, operation }: { tarball: string; operation: Operation },
): Promise<Receipt> {
  return withLock(machine, async () => {
    await root.resume();
    const transaction = await Transaction.begin(machine, tarball);
    const work = await makeWorkFolder(machine);
    try {
      // There is nobody to refuse: the operator asked for it by hand.
      return await endingWhatThrows(machine, { transaction, endFor: () => 'failed' }, () => {
        transaction.notice('The tarball is unsigned; it was taken because of --allow-unsigned.');
        return install(machine, root, { transaction, tarball, operation, work });
      });
    } finally {
      await removeWorkFolder(machine, work);
    }
  });
}

interface Unsigned {
  readonly transaction: Transaction;
  readonly tarball: string;
  readonly operation: Operation;
  readonly work: string;
}

async function install(
  machine: Machine,
  root: Root,
  { transaction, tarball, operation, work }: Unsigned,
): Promise<Receipt> {
  const meta = await readClassicMeta(join(dirname(tarball), 'meta'));
  const manifest = { ...meta, content: 'derivation' as const };
  transaction.learn({ toplevel: meta.toplevel, operation });
  const copy = join(work, 'bundle.tar.gz');
  await copyPlainFile(tarball, copy);
  const folder = await unpackClassic(machine, copy, work);
  await transaction.advance('verified');
  await transaction.advance('accepted');
  const { nix, close } = await openRecentNix(machine.nix);
  await rootImport(withNix(machine, nix), manifest).finally(close);
  try {
    await keepingRoom(machine, storeFolder(machine.nix), (signal) =>
      importFromChrootStore({ ...machine.nix, signal }, { folder, path: meta.derivation }),
    );
    await transaction.advance('imported');
    await realiseToplevel(machine, { transaction, manifest });
    await transaction.advance('realised');
    return await root.activate({
      transaction,
      toplevel: meta.toplevel,
      operation,
      release: undefined,
      unattended: false,
    });
  } finally {
    await dropImportRoots(machine);
  }
}

/** Copies it to where nobody else can write. The tarball may be in an inbox, where others can. */
async function copyPlainFile(from: string, to: string): Promise<void> {
  const source = await openPlainFile(from);
  const copy = await open(to, 'wx', 0o600);
  await pipeline(source.createReadStream(), copy.createWriteStream());
}
