/** A machine that runs a system which no generation of the profile has: installed by other means, or its links were cleared away. */
import assert from 'node:assert/strict';
import { readdir, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { defaultSystem } from '../machines/boot-menu.ts';
import { makeWorkshop, plainHost } from '../support/fleet.ts';
import { Targets, take } from '../support/targets.ts';

const shop = await makeWorkshop();
const targets = new Targets(shop);
let unwell = '';

before(async () => {
  unwell = await shop.bundle('unwell', {
    hosts: { web: plainHost('web', 'unwell') },
    args: ['--sequence', '5'],
    switchPrelude: 'if [ "${1:-}" = switch ]; then exit 2; fi',
  });
});

const profiles = (root: string) => join(root, 'nix/var/nix/profiles');

for (const [what, makeLink] of [
  ['no profile', async () => undefined],
  ['a plain link into the store', (profile: string, toplevel: string) => symlink(toplevel, profile)],
] as const)
  test(`${what}: a generation of what runs is made first, and a failed switch goes back to it`, async () => {
    const { target, one } = await targets.running();
    const folder = profiles(target.root);
    for (const name of await readdir(folder)) if (name.startsWith('system')) await rm(join(folder, name));
    await makeLink(join(folder, 'system'), one.toplevel);
    const receipt = await take(target, 'switch', unwell);
    assert.deepEqual([receipt.state, receipt.code], ['rolled-back', 'activation-failed'], receipt.detail);
    assert.deepEqual([receipt.previousToplevel, receipt.generation], [one.toplevel, 2]);
    assert.match(
      receipt.notices?.join() ?? '',
      /no generation for the system to go back to, so generation 1 was created/,
    );
    assert.equal(await target.profile(), 'system-1-link');
    assert.equal(await defaultSystem(target.root), one.toplevel, 'it boots');
    assert.equal(await target.currentSystem(), one.toplevel, 'and it runs');
    const next = await take(target, 'switch', await targets.release('two', '--sequence', '8'));
    assert.equal(next.state, 'committed');
    assert.equal((await target.verb('rollback')).code, 0);
    assert.equal(await target.currentSystem(), one.toplevel);
  });
