/**
 * The same power cuts with /nix on other file systems than ext4: what each keeps of files that nobody flushed differs, and nixmaker must
 * not rely on any of it. A sample has the cut that does the most harm, on two; NIXMAKER_CASES=all has every cut on each.
 */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { makeDisk } from '../machines/vm-target.ts';
import { allCases } from '../support/cases.ts';
import { cuts } from '../support/cuts.ts';
import { keepTable } from '../support/out.ts';
import { fileSystems, moveStore } from './power-cut/other-store.ts';
import { bundles, cutBeforeFlush, imagesOf, shop, startAfterCut } from './power-cut/scene.ts';

const [toSwitch, toBoot] = await Promise.all([
  makeDisk(shop, 'golden-switch', { kind: 'media', bundle: bundles.old }),
  allCases
    ? makeDisk(shop, 'golden-boot', { kind: 'media', bundle: bundles.old, policy: { operation: 'boot' } })
    : 'none',
]);
const onExt4 = { switch: toSwitch, boot: toBoot };
const outcomes: Record<string, unknown>[] = [];

// One file system after the other: every cut is a disk of its own, and together they would fill one of fifty gigabytes.
for (const fileSystem of allCases ? fileSystems : fileSystems.slice(0, 2))
  describe(`/nix on ${fileSystem}`, { concurrency: 3 }, () => {
    const mine = allCases ? cuts : [];
    let disks = onExt4;
    let images: Awaited<ReturnType<typeof imagesOf>> = new Map();
    before(async () => {
      disks = {
        switch: await moveStore(onExt4.switch, fileSystem, 'switch'),
        boot: allCases ? await moveStore(onExt4.boot, fileSystem, 'boot') : 'none',
      };
      images = await imagesOf(disks, mine);
    });
    test(`${fileSystem}: power cut when all paths are valid and none is flushed`, async () => {
      outcomes.push({ fileSystem, ...(await cutBeforeFlush(disks.switch, 'is gone')) });
    });
    for (const cut of mine) {
      const { who, when, state, bundle, operation } = cut;
      test(`${fileSystem}: ${operation}, ${bundle} system, power cut at ${who} ${when} ${state}`, async () => {
        const image = images.get(cut);
        assert.ok(image !== undefined);
        outcomes.push({ fileSystem, ...(await startAfterCut(image, cut)) });
      });
    }
  });

test('the outcomes are kept as a table', () => keepTable('power-cuts-file-systems', { cases: outcomes }));
