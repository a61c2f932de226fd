/**
 * A quota on /nix (btrfs), of which statfs(2) says nothing: there is room by every count, and in the middle of an import there is none.
 * Nothing is half done, what was begun goes, the words are clear, and the next bundle that fits is taken.
 */
import assert from 'node:assert/strict';
import { cp, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Vm } from '../machines/vm.ts';
import { dropBundle, makeDisk } from '../machines/vm-target.ts';
import { moveStore } from './power-cut/other-store.ts';
import { bundles, countDamage, fresh, inbox, inMachine, release, shop } from './power-cut/scene.ts';

/** Half a mebibyte and more each, of which the quota lets some in. */
const large = await release('long', 10, undefined, 64);
const small = await release('small', 20, undefined, 2);
const mebibyte = 2 ** 20;
const leeway = 12 * mebibyte;

/** btrfs(8), through its own loader, from what the machine sees of the host. */
async function bringBtrfs(vm: Vm): Promise<string> {
  const from = join(process.env.NIXMAKER_MKFS ?? '', '../root/usr');
  const to = join(vm.folder, 'btrfs');
  await mkdir(to);
  await cp(join(from, 'bin/btrfs'), join(to, 'btrfs'), { dereference: true });
  await cp(join(from, 'lib/x86_64-linux-gnu'), join(to, 'lib'), { recursive: true, dereference: true });
  return '/host/btrfs/lib/ld-linux-x86-64.so.2 --library-path /host/btrfs/lib /host/btrfs/btrfs';
}

test('a quota that is used up in the middle of an import: nothing is half done, and what fits is taken', async (t) => {
  const disk = await moveStore(
    await makeDisk(shop, 'golden-quota', { kind: 'media', bundle: bundles.old }),
    'btrfs',
    'quota',
  );
  await inMachine(await fresh(disk), async (boot) => {
    const vm = await boot();
    const btrfs = await bringBtrfs(vm);
    const referenced = async () =>
      Number(
        /^0\/5\s+(\d+)/m.exec(
          await vm.sh(`sync; ${btrfs} quota rescan -w /nix; ${btrfs} qgroup show --raw /nix`),
        )?.[1],
      );
    await vm.sh(`${btrfs} quota enable /nix`);
    const before = await referenced();
    await vm.sh(`${btrfs} qgroup limit ${before + leeway} /nix`);
    const system = await vm.sh('readlink /run/current-system');

    await dropBundle(vm, large, 'web.tar');
    const said = 'journalctl --no-pager --unit nixmaker --output=cat';
    await vm.until(
      `${said} | grep '"event":"deferred"' | grep '"code":"no-space"' | grep -q 'Disk quota exceeded'`,
    );
    t.diagnostic(await vm.sh(`${said} | grep -o 'There was no room[^"]*' | head -n 1`));
    assert.equal(await vm.sh('readlink /run/current-system'), system);
    // Between two tries. Nix leaves the empty locks of paths that were not added.
    const used = `sync; ${btrfs} qgroup show --raw /nix | sed -n 's/^0\\/5 *\\([0-9]*\\).*/\\1/p'`;
    await vm.until(
      `! ls -d /nix/store/*-data-long-? /nix/store/*-data-long-?? 2>/dev/null && test "$(${used})" -lt ${before + mebibyte}`,
      240_000,
    );
    assert.equal((await countDamage(vm)).damaged, 0);
    const says = (words: string) => vm.until(`nixmaker status | tr -s ' \\n' ' ' | grep -q '${words}'`);
    await says('There is not enough disk space\\. .*Disk quota exceeded');
    await says('Waiting: [^ ]*web\\.tar: no-space .*Disk quota exceeded.* next try at');

    await dropBundle(vm, small, 'small.tar');
    await vm.until(`test -e ${inbox}/done/small.tar.txt`);
    assert.match(await vm.sh('cat /run/current-system/etc/motd'), /^small /);
    // What waited is older by now.
    await vm.sh('systemctl restart nixmaker.service');
    await vm.until(`test -e ${inbox}/refused/web.tar.txt`);
  });
});
