/**
 * The power is cut before and after every transition of agent, helper and confirmation, at a moment that was seen and not
 * timed: at each the disk is copied as the cut would leave it, and started as a machine of its own; and between an import
 * and its flush, where Nix’s defaults lose data. After the next start the machine is on the old or the committed new system, and no valid path is damaged. Beside it
 * the same with Nix’s defaults and without our care, which must still show the damage: else this proves nothing.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { makeDisk } from '../machines/vm-target.ts';
import { cuts } from '../support/cuts.ts';
import { keepTable } from '../support/out.ts';
import {
  bundles,
  countDamage,
  cutBeforeFlush,
  fresh,
  imagesOf,
  inMachine,
  registered,
  shop,
  startAfterCut,
} from './power-cut/scene.ts';

const [toSwitch, toBoot] = await Promise.all([
  makeDisk(shop, 'golden-switch', { bundle: bundles.old }),
  makeDisk(shop, 'golden-boot', { bundle: bundles.old, policy: { operation: 'boot' } }),
]);
const disks = { switch: toSwitch, boot: toBoot };
const outcomes: Record<string, unknown>[] = [];
const images = await imagesOf(disks, cuts);

describe('power cuts', { concurrency: 3 }, () => {
  for (const cut of cuts) {
    const { who, when, state, bundle, operation } = cut;
    test(`${operation}, ${bundle} system, power cut at ${who} ${when} ${state}`, async () => {
      const image = images.get(cut);
      assert.ok(image !== undefined);
      outcomes.push(await startAfterCut(image, cut));
    });
  }

  for (const fate of ['stays', 'is gone'] as const)
    test(`power cut when all paths are valid and none is flushed; the bundle ${fate}`, async () => {
      outcomes.push(await cutBeforeFlush(disks.switch, fate));
    });
});

describe('the control: Nix’s defaults, without our care', { concurrency: 2 }, () => {
  let damagedInAll = 0;
  for (let i = 1; i <= 2; i++) {
    test(`power cut after an import that Nix called done, ${i}`, async () => {
      await inMachine(await fresh(disks.switch), async (boot) => {
        const vm = await boot();
        await vm.sh('systemctl stop nixmaker.service');
        await vm.write('/root/web.tar', await readFile(bundles.good));
        await vm.sh('mkdir /root/web; tar -xf /root/web.tar -C /root/web; sync');
        await vm.sh('nix copy --from file:///root/web "$(tail -n 1 /root/web/meta)"');
        await vm.sh(registered).finally(() => vm.cutPower());
        const again = await boot(['systemd.mask=nixmaker.service']);
        const damage = await countDamage(again);
        damagedInAll += damage.damaged;
        outcomes.push({ who: 'control', when: 'after', state: 'imported', ...damage });
      });
    });
  }
  test('still shows the damage', () => assert.ok(damagedInAll > 0));
});

test('the outcomes are kept as a table', async () => {
  assert.equal(outcomes.length, cuts.length + 4);
  await keepTable('power-cuts', { cases: outcomes });
});
