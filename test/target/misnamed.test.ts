/** Bundles that have not the name of one, or were packed once more: told of, once, wherever somebody looks; and never lost. */
import assert from 'node:assert/strict';
import { copyFile, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { Status } from '../../src/target/inspect/status.ts';
import { makeWorkshop } from '../support/fleet.ts';
import { Targets } from '../support/targets.ts';

const targets = new Targets(await makeWorkshop());

/** The beginning of an archive with one file, as APPNOTE.TXT has it. */
function zipOf(name: string, bytes: Buffer): Buffer {
  const header = Buffer.alloc(30);
  header.writeUInt32LE(0x04034b50, 0);
  header.writeUInt16LE(Buffer.byteLength(name), 26);
  return Buffer.concat([header, Buffer.from(name), bytes]);
}

test('in the inbox they are refused with a report that says what to do, and the bundle beside them is taken', async () => {
  const target = await targets.fresh({ settings: { inboxPatience: 600 } });
  const { inbox } = target;
  const bundle = await readFile(await targets.release('one'));
  await writeFile(join(inbox, 'web.tar.gz'), gzipSync(bundle));
  await writeFile(join(inbox, 'first.tar.zip'), zipOf('first.tar', bundle));
  await writeFile(join(inbox, 'web'), bundle);
  await writeFile(join(inbox, 'notes.tar.odt'), 'x');
  await writeFile(join(inbox, 'web.tar.filepart'), bundle.subarray(0, 3000));
  await writeFile(join(inbox, 'photo.jpg'), Buffer.alloc(10_000, 7));
  const first = await target.startAgent();
  await first.waitFor((l) => l.event === 'settled');
  const said = () => first.log().filter((l) => l.event === 'waiting' && l.code === 'misnamed');
  await first.waitFor(() => said().length === 3);
  const waiting = async () => {
    const status = JSON.parse((await target.verb('status', ['--json'])).stdout) as Status;
    return status.waits.map(({ path, code }) => `${path.slice(inbox.length + 1)} ${code}`).sort();
  };
  // The record of what waits is written a moment after a file was archived.
  let waits = await waiting();
  for (let looks = 0; waits.length !== 3 && looks < 40; looks++) waits = await waiting();
  assert.deepEqual(waits, ['first.tar.zip misnamed', 'notes.tar.odt misnamed', 'web misnamed']);
  await first.stop();
  assert.equal(new Set(said().map((l) => l.source)).size, 3, 'each once');
  const gzipped = first.log().find((l) => l.event === 'refused');
  assert.deepEqual(
    [gzipped?.code, gzipped?.detail],
    ['misnamed', 'it is a bundle that was compressed again (gzip)'],
  );

  // Once they have been at rest for long enough.
  const settings = JSON.parse(await readFile(target.settingsFile, 'utf8')) as object;
  await writeFile(target.settingsFile, JSON.stringify({ ...settings, inboxPatience: 0.5 }));
  const agent = await target.startAgent();
  await copyFile(await targets.release('one'), join(inbox, 'web (1).TAR'));
  await agent.waitFor((l) => l.event === 'committed');
  const settled = new Set<unknown>();
  await agent.waitFor((l) => l.event === 'settled' && settled.add(l.bundle).size === 4);
  await agent.stop();
  const report = await readFile(join(inbox, 'refused/first.tar.zip.txt'), 'utf8');
  assert.match(
    report,
    /^REFUSED\n\nWhat: +This file looks like a bundle.*\nDetail: +it is a zip archive.*\nNext: +Unpack/s,
  );
  const refused = (await readdir(join(inbox, 'refused'))).filter((name) => !name.endsWith('.txt'));
  assert.deepEqual(refused.sort(), ['first.tar.zip', 'notes.tar.odt', 'web', 'web.2']);
  assert.deepEqual((await readdir(inbox)).sort(), ['done', 'photo.jpg', 'refused', 'web.tar.filepart']);
});
