/**
 * A machine that is suspended in the middle of an import, for longer than its deadlines. The kernel of user-mode Linux freezes all
 * processes as any other does; but its CLOCK_MONOTONIC goes on, as in a virtual machine that is paused, which is worse. The import goes
 * on where it was; nothing is half done, and no medium is called stalled.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { makeDisk } from '../machines/vm-target.ts';
import { bundles, countDamage, fresh, inMachine, journal, release, shop } from './power-cut/scene.ts';

const carrier = '/srv/carrier';
/** Seconds. Long enough for a machine with much to do. */
const patience = 5;
const asleep = 2 * patience;
/** So many that the import takes some seconds. */
const paths = 64;
const bundle = await release('long', 10, undefined, paths);

test('suspended in the middle of an import, the machine goes on with it, and says of nothing that it has stalled', async () => {
  const policy = { media: { folders: [carrier] } };
  const disk = await makeDisk(shop, 'golden-suspend', { bundle: bundles.old, policy });
  await inMachine(await fresh(disk), async (boot) => {
    const vm = await boot();
    await vm.write('/etc/nixmaker/settings.json', JSON.stringify({ media: { patience } }));
    await vm.sh(`mkdir ${carrier}; systemctl restart nixmaker.service`);
    await vm.until('systemctl show nixmaker --property=StatusText | grep -q Watching');
    await vm.write('/root/web.tar', await readFile(bundle));
    const imported = 'ls -d /nix/store/*-data-long-* 2>/dev/null | wc -l';
    await vm.sh(`mv /root/web.tar ${carrier}/web.tar`);
    const begun = `until [ "$(${imported})" -ge 2 ]; do :; done`;
    await vm.suspend(begun, 1000 * asleep, `${imported} >/run/imported`);
    const kernel = await vm.sh('dmesg');
    const [entry, exit] = ['entry', 'exit'].map((what) =>
      Number(new RegExp(`\\[ *([0-9.]+)\\] PM: suspend ${what}`).exec(kernel)?.[1]),
    );
    assert.ok(Number(exit) - Number(entry) > patience + 2, `from ${entry} to ${exit} s`);
    assert.ok(Number(await vm.sh('cat /run/imported')) < paths, 'it was in the middle of the import');
    await vm.until(`grep '"sequence":11' ${journal} | grep -q '"state":"committed"'`);
    const log = await vm.sh('journalctl --boot --no-pager --output=cat --unit nixmaker');
    assert.doesNotMatch(log, /medium-stalled|"deferred"/);
    assert.equal(log.match(/"event":"discovered"/g)?.length, 1, 'it was one run');
    assert.match(await vm.sh('cat /run/current-system/etc/motd'), /^long /);
    assert.equal((await countDamage(vm)).damaged, 0);
  });
});
