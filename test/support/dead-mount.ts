/** Folders and files that give no answer: FUSE mounts whose server has ended, in a target’s own namespace. */
import assert from 'node:assert/strict';
import type { Target } from '../machines/sandboxed-target.ts';

const script = 'exec 9<>/dev/fuse; mount -i -t fuse -o fd=9,rootmode=$2,user_id=0,group_id=0 dead "$1"';

/** Every call to it is answered with ENOTCONN from now on. The folder or file below it is there. */
export async function killMount(target: Target, path: string, is: 'folder' | 'file'): Promise<void> {
  const ran = await target.run(['sh', '-c', script, 'sh', path, is === 'folder' ? '40000' : '100644']);
  assert.equal(ran.code, 0, ran.stderr);
}

export async function unmount(target: Target, path: string): Promise<void> {
  const ran = await target.run(['umount', path]);
  assert.equal(ran.code, 0, ran.stderr);
}
