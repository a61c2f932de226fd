/** FUSE mounts in a target’s own namespace, whose server answers some operations and others never (fuse-server.ts). */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import type { Target } from '../machines/sandboxed-target.ts';

const server = new URL('fuse-server.ts', import.meta.url).pathname;

export interface Served {
  /** A folder, or a file. */
  readonly source: string;
  /** Where it is mounted: it is there, and of the same kind. */
  readonly at: string;
  /** Operations that are never answered. */
  readonly silent?: readonly string[];
}

/** For a shell that mounts it and then serves it, in the place of itself. @param uid of the only user who may look at it */
export const fuseScript = (uid: number, mode: '40000' | '100644') =>
  `exec 9<>/dev/fuse; mount -i -t fuse -o fd=9,rootmode=${mode},user_id=${uid},group_id=${uid} served "$1"; echo mounted; shift; exec "$@"`;

/** @returns how to end it, after which all that waited there is answered ENOTCONN */
export async function serveFuse(
  target: Target,
  { source, at, silent = [] }: Served,
): Promise<() => Promise<void>> {
  const mode = (await stat(source)).isDirectory() ? '40000' : '100644';
  const [program, ...args] = target.command([
    ...['sh', '-euc', fuseScript(0, mode), 'sh', at, process.execPath],
    ...[server, source, ...silent],
  ]);
  const child: ChildProcess = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...target.env },
  });
  assert.ok(child.stdout !== null);
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  assert.equal(line, 'mounted');
  return async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  };
}
