/** Sticks that are plugged, pulled and plugged again; file systems and partition tables. */
import assert from 'node:assert/strict';
import { copyFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { allCases } from '../../support/cases.ts';
import {
  bus,
  clean,
  data,
  figures,
  fill,
  folder,
  gone,
  journal,
  mayGo,
  mounted,
  plug,
  prepare,
  pull,
  putOn,
  release,
  runs,
  told,
  udevd,
  unmountTime,
  vm,
} from './scene.ts';

test('a stick is mounted read-only and harmless, its bundle taken, a receipt written, the stick let go', async () => {
  await fill(await release('from-stick', 10));
  await plug();
  await vm.until(mounted);
  const options = await vm.sh(
    'findmnt --list --noheadings --output TARGET,OPTIONS | grep ^/run/media/nixmaker/',
  );
  for (const option of ['ro', 'nosuid', 'nodev', 'noexec', 'nosymfollow'])
    assert.match(options, new RegExp(`[ ,]${option}(,|$)`, 'm'), options);
  await runs('from-stick');
  await mayGo(1);
  await gone();
  // The folder goes after the mount.
  await vm.until('! ls -A /run/media/nixmaker /run/nixmaker-receipts 2>/dev/null | grep -q sda');
  const console = await readFile(join(folder, 'console'), 'latin1');
  assert.match(console, /nixmaker: Sequence 11 is installed and running\. You may remove the medium\./);
  await vm.sh(
    'mount -o ro /dev/sda /mnt; cat /mnt/nixmaker/receipts/web/11.json >/host/receipt.json; umount /mnt',
  );
  const receipt = JSON.parse(await readFile(join(folder, 'receipt.json'), 'utf8')) as { payload: string };
  const said = JSON.parse(Buffer.from(receipt.payload, 'base64').toString()) as {
    run: { state: string };
    now: { failedUnits: string[]; paths: { count: number } };
  };
  assert.equal(said.run.state, 'committed');
  assert.deepEqual(said.now.failedUnits, []);
  assert.ok(said.now.paths.count > 2);
  await pull();
});

test('pulled in the middle of an import the machine stays as it was; plugged in again the import is done', async () => {
  await fill(await release('large', 30, `large \${${data}}`));
  const before = await told();
  await plug();
  // A moment: looked for as often as can be, and by whoever then pulls.
  await vm.sh(
    `until ls -d /nix/store/*-data /nix/store/.tmp* 2>/dev/null | grep -q .; do :; done; echo -1 >${bus}`,
  );
  const pulled = performance.now();
  await gone();
  figures['pulled to unmounted, ms'] = Math.round(performance.now() - pulled);
  const own = await unmountTime();
  figures['of that in the machine’s own log, ms'] = own;
  assert.ok(own < 30_000, `let go at once, and not when somebody’s patience is over: ${own} ms`);
  await vm.until(
    `${journal('nixmaker')} | grep -E '"event":"(failed|deferred|committed)"' | tail -n 1 | grep -q "medium-unreadable"`,
  );
  await plug();
  await runs('large');
  await mayGo(before + 1);
  const verified = await vm.try('nix-store --verify --check-contents 2>&1');
  assert.doesNotMatch(verified.output, /modified|disappeared|error:/);
  await pull();
});

// Much like others: FAT32 is plugged in hot-plug.vm.ts too, and a partition in card-readers.vm.ts.
if (allCases) {
  test('put onto a real FAT32, plugged in, taken, and the receipt lies on it', async () => {
    await prepare(
      await release('fat', 40),
      `${clean} mkfs.vfat -F 32 -n "BRIDGE 1" /dev/sda >/dev/null; ${putOn('/dev/sda', 'vfat')}`,
    );
    const before = await told();
    // Its label is what the policy asks for.
    const policy = await vm.sh('cat /etc/nixmaker/policy.json');
    const sources = { labels: ['BRIDGE 1'] };
    await vm.write('/etc/nixmaker/policy.json', JSON.stringify({ ...JSON.parse(policy), sources }));
    await vm.sh('systemctl restart nixmaker.service');
    await plug();
    await runs('fat');
    await mayGo(before + 1);
    await gone();
    assert.equal(
      await vm.sh('mount -o ro /dev/sda /mnt; ls /mnt /mnt/nixmaker/receipts/web; umount /mnt'),
      '/mnt:\nnixmaker\n\n/mnt/nixmaker/receipts/web:\n41.json\n41.txt\n',
    );
    await pull();
    await vm.write('/etc/nixmaker/policy.json', policy);
    await vm.sh('systemctl restart nixmaker.service');
  });

  test('several partitions: the one with bundles is read and let go, of the other it is told once that nothing is on it', async () => {
    await prepare(
      await release('partitions', 50),
      `${clean} printf "label: dos\\n,40M,c\\n,,83\\n" | sfdisk --quiet /dev/sda; until test -b /dev/sda2; do sleep 0.05; done;
    mkfs.vfat -F 32 /dev/sda1 >/dev/null; mount -t vfat /dev/sda1 /mnt; mkdir /mnt/DCIM; echo x >/mnt/DCIM/photo.jpg; umount /mnt;
    mkfs.ext4 -q /dev/sda2; ${putOn('/dev/sda2', 'ext4')}`,
    );
    const before = await told();
    await plug();
    await runs('partitions');
    await mayGo(before + 1);
    await vm.until('! findmnt /run/media/nixmaker/sda2 >/dev/null');
    assert.equal(
      (await vm.try(`${journal('nixmaker')} | grep sda1 | grep -v '"event":"medium-done"'`)).output,
      '',
    );
    const last = `${journal('nixmaker-receipts')} | grep medium-without-receipt | grep -c sda1`;
    await vm.until(`test "$(${last})" = 1`);
    assert.equal(await told(), before + 1);
    await pull();
    await gone();
  });
}

test('an ISO image on the bare device: taken; its receipt waits, for nothing can be written there', async () => {
  await prepare(
    await release('iso', 60),
    `${clean} rm -rf /root/iso; mkdir /root/iso; nixmaker put /root/iso /host/bundle.tar >/dev/null 2>&1; xorrisofs -quiet -R -o /root/image.iso /root/iso; dd if=/root/image.iso of=/dev/sda bs=1M conv=fsync 2>/dev/null;`,
  );
  const before = await told();
  await plug();
  await runs('iso');
  await mayGo(before + 1);
  await gone();
  assert.match(
    await vm.sh(`${journal('nixmaker-receipts')} | tail -n 20`),
    /medium-read-only.*receipts-wait/,
  );
  assert.match(await vm.sh('ls /var/lib/nixmaker/activation/outbox'), /^61\.json$/m);
  await pull();
});

test('several sticks that are there when the machine looks: the newest is taken, the waiting receipt goes along', async () => {
  await vm.sh(
    'modprobe -r scsi_debug; modprobe scsi_debug dev_size_mb=48 removable=1 add_host=0 delay=0 per_host_store=1',
  );
  const bundles = [await release('many-1', 70), await release('many-2', 80), await release('many-3', 90)];
  for (const [i, bundle] of bundles.entries()) await copyFile(bundle, join(folder, `many-${i}.tar`));
  const before = await told();
  const devices = ['sda', 'sdb', 'sdc', 'sdd'];
  await vm.sh(
    `systemctl stop ${udevd} 2>/dev/null; echo ${devices.length} >${bus}; ${devices
      .map((d) => `until test -b /dev/${d}; do sleep 0.05; done; mkfs.vfat -F 32 /dev/${d} >/dev/null`)
      .join(
        '; ',
      )}; for i in 0 1 2; do d=$(echo a b c | cut -d' ' -f$((i + 1))); mount -t vfat /dev/sd$d /mnt; nixmaker put /mnt /host/many-$i.tar >/dev/null 2>&1; umount /mnt; done; systemctl start ${udevd}; udevadm trigger --action=add --subsystem-match=block`,
    120_000,
  );
  await runs('many-3');
  await mayGo(before + 3);
  await vm.until(
    'test "$(findmnt --list --noheadings --output TARGET | grep -c ^/run/media/nixmaker/)" -eq 1',
  );
  const found = await vm.sh(
    'for d in a b c d; do mount -t vfat -o ro /dev/sd$d /mnt; ls /mnt/nixmaker/receipts/web 2>/dev/null | sed "s/^/sd$d /"; umount /mnt; done',
  );
  assert.match(found, /^sd[abc] 61\.json$/m, 'what had to wait');
  assert.match(found, /^sdc 91\.json$/m);
  assert.doesNotMatch(found, /^sdd/m, 'an empty stick is nobody’s');
  await vm.sh(`umount /run/media/nixmaker/sdd; echo -${devices.length} >${bus}`);
  await gone();
});
