/** What is opened of a bundle is closed again, whatever became of it: of a medium nothing may stay open, or unmounting says busy. */
import assert from 'node:assert/strict';
import { mkdir, readdir, readlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { hostsOf } from '../../../src/bundle/pool.ts';
import { putBundles } from '../../../src/desk/pool/put.ts';
import { makeTrustSet } from '../../../src/signing/verify.ts';
import type { Machine } from '../../../src/target/machine/machine.ts';
import { examine, type Source } from '../../../src/target/update/open.ts';
import { pair, temporaryFolder, writeTestBundle } from '../../support/bundles.ts';
import { rootInMemory } from '../../support/root-machine.ts';

/** A stick with a bundle and a pool. */
async function scene(t: TestContext) {
  const medium = join(await temporaryFolder(t), 'stick');
  await mkdir(medium);
  const bundle = join(medium, 'web.tar');
  await writeTestBundle(bundle, { fileSizes: [700_000, 100], manifest: { sequence: 7 } });
  await putBundles({ medium, bundles: [bundle], keep: 1 });
  const { machine } = await rootInMemory(t);
  const never = () => new Promise<void>(() => undefined);
  const trusting = {
    ...machine,
    ...{ trust: makeTrustSet([pair.public], 1), clock: { ...machine.clock, sleep: never } },
  } as unknown as Machine;
  const heldOpen = async () => {
    const all = (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => ''));
    return (await Promise.all(all)).filter((path) => path.startsWith(medium));
  };
  const sources: Readonly<Record<string, Source>> = {
    'a bundle': { format: 'bundle', file: bundle, onMedium: true },
    'a pool': { format: 'pool', path: join(hostsOf(medium), 'web', '7'), onMedium: true },
  };
  return { machine: trusting, medium, bundle, sources, heldOpen };
}

for (const what of ['a bundle', 'a pool'])
  test(`${what} on a medium that is closed in the middle of a piece holds nothing open`, async (t) => {
    const { machine, sources, heldOpen } = await scene(t);
    const examined = await examine(machine, sources[what] as Source);
    const contents = await examined.open();
    assert.ok(contents.kind === 'bundle');
    const large = [...contents.bundle.pieces.values()].flat().find((piece) => piece.size > 600_000);
    assert.ok(large !== undefined);
    await contents.bundle.reader.readInto(large, Buffer.alloc(10), 0);
    assert.equal((await heldOpen()).length, 1, 'it is being read');
    await examined.close();
    assert.deepEqual(await heldOpen(), []);
  });

test('what can’t be opened at all is closed as well', async (t) => {
  const { machine, bundle, sources, heldOpen } = await scene(t);
  const source = sources['a bundle'] as Source;
  for (const [spoil, code, detail] of [
    [() => truncate(bundle, 5000), 'none', /./],
    [() => truncate(bundle, 100), 'bundle-truncated', /^the file ends at byte 100$/],
    [() => writeFile(bundle, 'x'.repeat(5000)), 'not-a-bundle', /does not begin with a manifest/],
  ] as const) {
    await spoil();
    if (code === 'none') await (await examine(machine, source)).close();
    else await assert.rejects(examine(machine, source), { code, detail });
    assert.deepEqual(await heldOpen(), [], code);
  }
});
