/**
 * One nixmaker at a time on a machine: agent and command line share this lock. flock(1) holds it in a child whose
 * standard input is our pipe, so that it falls with us however we end, SIGKILL included; a lock file's mere
 * presence means nothing.
 */
import { join } from 'node:path';
import { NixmakerError } from '../core/errors.ts';
import type { HeldProcess, ProcessHolder } from '../core/ports.ts';
import { makeFolder } from '../files/folder.ts';

/**
 * @param wait flock(1)'s option on waiting: not at all, or `--timeout` and seconds
 * @throws NixmakerError `busy`
 */
export async function acquireLock(
  hold: ProcessHolder,
  stateDirectory: string,
  wait: readonly string[] = ['--nonblock'],
): Promise<HeldProcess> {
  await makeFolder(stateDirectory);
  const file = join(stateDirectory, 'lock');
  // By its full name: a NixOS service has no sh on its PATH.
  const held = await hold('flock', [...wait, '--no-fork', file, '/bin/sh', '-c', 'echo locked; exec cat']);
  if (held === undefined) throw new NixmakerError('busy', `${file} is held by another nixmaker`);
  return held;
}
