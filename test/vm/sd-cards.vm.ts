/** SD cards in a host of their own, none of which says that it is removable. On a real udev, in QEMU. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeCard, readFromVfat } from '../machines/qemu-target.ts';
import { allCases } from '../support/cases.ts';
import { boot, image, long, pool } from './changed/scene.ts';

await makeCard(image('first'), await pool('first', 10));
await makeCard(image('next'), await pool('next', 20));
const sd = 'sd0';
const { machine, start, runs, gone, told, mayGo } = await boot([
  ...['-drive', 'if=none,id=first,format=raw,file=/tmp/work/first.img,file.locking=off'],
  ...['-device', 'sdhci-pci,id=host', '-device', `sd-card,id=${sd},drive=first`],
]);

test('an SD card that is in its host when the machine starts is taken, and its receipt lies on it', async () => {
  await machine.until('test -b /dev/mmcblk0', long);
  assert.equal((await machine.sh('cat /sys/block/mmcblk0/removable')).trim(), '0');
  await start();
  await runs('first');
  await mayGo(1);
  await gone();
  await machine.takeOut(sd);
  await machine.until('test ! -e /dev/mmcblk0', long);
  const report = await readFromVfat(image('first'), '/nixmaker/receipts/web/10.txt');
  assert.match(report.toString(), /^DONE\n/);
  const { output } = await machine.try('systemctl --failed --no-legend');
  assert.equal(output.trim(), '');
});

// Most of a minute; to udev it is the first again.
if (allCases)
  test('so is the next card in the same host', async () => {
    const before = await told();
    await machine.insert(sd, { image: 'next.img' });
    await runs('next');
    await mayGo(before + 1);
    await gone();
  });
