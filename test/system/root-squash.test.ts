/**
 * A carrier’s folder that an ordinary user has mounted (FUSE without `allow_other`), as the nixmaker user’s own rclone or sshfs does: to root
 * the kernel answers EACCES there, as a server with root_squash would. Bundles are taken; receipts wait, and everybody says so.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { bedNode } from '../machines/bed.ts';
import { fuseScript } from '../support/fuse.ts';
import { bed, release, shop, writePolicy } from './systemd/scene.ts';

const [source, carrier, next] = ['/srv/theirs', '/srv/carrier', '/srv/next'];
const server = new URL('../support/fuse-server.ts', import.meta.url);
const nixmaker = 990;
const inJournal = (unit: string, pattern: string) =>
  bed.until('journalctl --no-pager --unit "$1" --output=cat | grep -q "$2"', unit, pattern);

test('the agent takes what lies there; the receipt waits, and doctor and status say why', async () => {
  await bed.sh(`mknod -m 0666 /dev/fuse c 10 229; mkdir -p ${source} ${carrier} ${next}`);
  await bed.write('/root/fuse-server.ts', await readFile(server));
  await bed.write('/root/fuse', `#!/bin/sh\nset -eu\n${fuseScript(nixmaker, '40000')}\n`, '0755');
  await bed.write(`${source}/web.tar`, await readFile(await release('carried', 0)));
  await bed.sh(
    `chown -R ${nixmaker}:${nixmaker} ${source}; systemd-run --quiet --unit=carrier /bin/sh /root/fuse ${carrier} ${bedNode} /root/fuse-server.ts ${source}`,
  );
  await bed.until('findmnt "$1" >/dev/null', carrier);
  const asRoot = await bed.run(['ls', carrier]);
  assert.match(asRoot.stderr, /Permission denied/, 'root is nobody there');
  await writePolicy({ media: { folders: [carrier] } });
  await bed.sh('systemctl start nixmaker-receipts.path; systemctl restart nixmaker.service');
  await bed.until("grep -q '^carried' /run/current-system/etc/motd");
  await inJournal('nixmaker-receipts', '"code":"medium-read-only".*"event":"receipts-wait"');

  const doctor = await bed.run(['nixmaker', 'doctor']);
  assert.match(
    doctor.stdout.replace(/\s+/g, ' '),
    /LOOK carriers \/srv\/carrier: root cannot write to it \(permission denied\), so receipts cannot travel home this way → .*`root_squash`.*`allow_other`.*Receipts wait for another medium/,
  );
  const status = await bed.sh('nixmaker status');
  assert.match(
    status.replace(/\s+/g, ' '),
    /Receipts: one is waiting for a medium or a carrier’s folder that root can write to; see `carriers`/,
  );
});

test('the next folder that root can write to gets the receipt, and nothing waits any more', async () => {
  await bed.sh(`chown ${nixmaker}:${nixmaker} ${next}`);
  await writePolicy({ media: { folders: [carrier, next] } });
  await bed.write(
    `${next}/web.tar`,
    await readFile(
      await shop.bundle('next', {
        hosts: { web: 'mkSystem { hostName = "web"; motd = "next"; }' },
        args: ['--sequence', '10'],
      }),
    ),
  );
  await bed.sh('systemctl restart nixmaker.service');
  await bed.until(`ls ${next}/nixmaker/receipts/web/11.json ${next}/nixmaker/receipts/web/1.json`);
  assert.doesNotMatch(await bed.sh('nixmaker status'), /^Receipts:/m);
});
