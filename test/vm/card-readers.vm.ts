/** Cards in a reader that stays, of which nothing comes but a `change`. On a real udev, in QEMU. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { makeStick, partitioned } from '../machines/qemu-target.ts';
import { boot, image, long, pool } from './changed/scene.ts';

await writeFile(image('blank'), Buffer.alloc(64 * 2 ** 20));
for (const [name, sequence] of [
  ['card', 10],
  ['card-next', 20],
] as const) {
  await makeStick(image('part'), 'vfat', await pool(name, sequence));
  await writeFile(image(name), partitioned([await readFile(image('part'))]));
}
const { machine, start, runs, mounted, gone, told, mayGo } = await boot();

test('a card in a reader that stays: pulled while it is read, its mount goes, and the next card is taken', async () => {
  await start();
  const before = await told();
  const reader = await machine.plugReader('blank.img');
  await machine.until('test -b /dev/sda', long);
  await machine.takeOut(reader);
  await machine.until('test "$(cat /sys/block/sda/size)" = 0', long);
  await machine.insert(reader, { image: 'card.img', speed: 200_000 });
  await mounted('sda1');
  await machine.takeOut(reader);
  await gone();
  await machine.sh("! grep -q '^card' /run/current-system/etc/motd");
  await machine.insert(reader, { image: 'card-next.img' });
  await runs('card-next');
  await mayGo(before + 1);
  await gone();
  const { output } = await machine.try('systemctl --failed --no-legend');
  assert.equal(output.trim(), '');
});
