/** Of two signers at once one would lose the other’s line: what is signed is read, and written whole with one signature more. */
import { dirname } from 'node:path';
import { isFolder } from '../../files/read.ts';
import { inTurn, turnIn } from '../../files/turn.ts';
import { holdProgram } from '../../process/run.ts';

/** @param path of what is to be signed; its folder is held meanwhile @throws NixmakerError `busy` */
export async function alone(path: string, work: () => Promise<void>): Promise<void> {
  const folder = dirname(path);
  // Whoever reads what lies in it says what is missing.
  if (!(await isFolder(folder))) return work();
  await inTurn({ hold: holdProgram, file: turnIn(folder), verb: 'sign' }, work);
}
