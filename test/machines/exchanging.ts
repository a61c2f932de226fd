/** A folder for PATH whose `mv` can exchange two names: Debian’s own is older than that. It is the one of the tree for the tests with systemd. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './program.ts';

/** @returns undefined if this machine’s can */
export async function exchangingMv(folder: string): Promise<string | undefined> {
  if ((await run('mv', ['--help'])).stdout.includes('--exchange')) return undefined;
  const tree = process.env.NIXMAKER_BED;
  if (tree === undefined)
    throw new Error('NIXMAKER_BED is not set: run this test with scripts/test, on Debian');
  await mkdir(folder, { recursive: true });
  const triplet = `${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`;
  const script = `#!/bin/sh\nfor l in "${tree}"/lib64/ld-linux-*.so.* "${tree}"/lib/ld-linux-*.so.*; do [ -e "$l" ] && exec "$l" --library-path "${tree}/usr/lib/${triplet}" "${tree}/usr/bin/mv" "$@"; done; exit 127\n`;
  await writeFile(join(folder, 'mv'), script, { mode: 0o755 });
  return folder;
}
