/** Discs in a drive that stays, of which nothing comes but a `change`. On a real udev, in QEMU. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeDisc } from '../machines/qemu-target.ts';
import { boot, image, long, pool } from './changed/scene.ts';

await makeDisc(image('disc'), await pool('disc', 10));
await makeDisc(image('disc-next'), await pool('disc-next', 20));
const { machine, start, runs, mounted, gone, told, mayGo } = await boot();

test('a disc in a drive that was empty is taken, and after the eject button the next one is', async () => {
  // As on any machine with udev: the kernel looks by itself whether a drive has another medium.
  assert.equal((await machine.sh('cat /sys/module/block/parameters/events_dfl_poll_msecs')).trim(), '2000');
  await start();
  const before = await told();
  const drive = await machine.plugReader();
  await machine.until('test -b /dev/sr0', long);
  await machine.insert(drive, { image: 'disc.img', readOnly: true });
  await mounted('sr0');
  await runs('disc');
  await mayGo(before + 1);
  await gone();
  await machine.pressEject(drive);
  await machine.until(
    '! cdrom_id=$(/usr/lib/udev/cdrom_id /dev/sr0) || ! echo "$cdrom_id" | grep -q ID_CDROM_MEDIA=1',
    long,
  );
  await machine.takeOut(drive).catch(() => undefined);
  await machine.insert(drive, { image: 'disc-next.img', readOnly: true });
  await runs('disc-next');
  await mayGo(before + 2);
  await gone();
  const { output } = await machine.try('systemctl --failed --no-legend');
  assert.equal(output.trim(), '');
});
