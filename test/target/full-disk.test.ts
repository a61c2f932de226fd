/** A bundle on standard input, where the disk that is to hold it, or the record of its run, is full: told in words, and nothing is left. */
import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeWorkshop } from '../support/fleet.ts';
import { Targets } from '../support/targets.ts';

const targets = new Targets(await makeWorkshop());

test('a bundle on standard input onto a full disk is told as that, and taken once there is room', async () => {
  const target = await targets.fresh();
  const { stateDirectory } = target;
  const work = join(stateDirectory, 'work');
  const bundle = await readFile(await targets.release('one'));
  const take = () => target.verb('switch', ['--tarball', '-'], { input: bundle });
  const fill = {
    bytes: 'cat /dev/zero > fill 2>/dev/null; test -s fill',
    names: 'i=0; while (: >"f$i") 2>/dev/null; do i=$((i + 1)); done; test -e f1',
  };
  for (const place of [stateDirectory, work])
    for (const [what, how] of Object.entries(fill)) {
      await mkdir(work, { recursive: true });
      const options = 'size=64k,nr_inodes=64';
      const script = `mount -t tmpfs -o ${options} full "$1" && cd "$1" && { ${how}; }`;
      const filled = await target.run(['sh', '-c', script, 'sh', place]);
      assert.equal(filled.code, 0, filled.stderr);
      const { code, stdout, stderr } = await take();
      assert.deepEqual([code, stdout], [75, ''], `${place}, ${what}: ${stderr}`);
      assert.match(stderr, /^nixmaker: There is not enough disk space\.\n {2}\S.*\n.*\n\(no-space\)\n$/);
      assert.doesNotMatch(stderr, /\bat .*:\d+/);
      assert.equal((await target.run(['umount', place])).code, 0);
    }
  assert.equal((await take()).code, 0);
});
