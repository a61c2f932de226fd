/** Two signers at once would lose one line: the file is read, then written whole with one more signature. */
import { dirname } from 'node:path';
import { isFolder } from '../../files/read.ts';
import { inTurn, turnIn } from '../../files/turn.ts';
import { holdProgram } from '../../process/run.ts';

/** @param path what is to be signed; its folder is locked meanwhile @throws NixmakerError `busy` */
export async function alone(path: string, work: () => Promise<void>): Promise<void> {
  const folder = dirname(path);
  // Reading it will report what is missing.
  if (!(await isFolder(folder))) return work();
  await inTurn({ hold: holdProgram, file: turnIn(folder), verb: 'sign' }, work);
}
