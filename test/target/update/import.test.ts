/** Recipes are realised to what was signed, or not at all. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { parseDrvPath } from '../../../src/core/store-path.ts';
import { Transaction } from '../../../src/target/machine/transaction.ts';
import { realiseToplevel } from '../../../src/target/update/import.ts';
import { storePathOf } from '../../support/releases.ts';
import { newSystem, oldSystem, rootInMemory } from '../../support/root-machine.ts';

const derivation = parseDrvPath(storePathOf(9, 'nixos-system-web.drv'));
assert.ok(derivation !== undefined);

/** @param given what Nix says that the derivation gives */
async function realising(t: TestContext, given: readonly string[], content: 'derivation' | 'closure') {
  const { machine, started } = await rootInMemory(t, {
    answer: (argv) => (argv.includes('build') ? { stdout: given.map((p) => `${p}\n`).join('') } : undefined),
  });
  const transaction = await Transaction.begin(machine, 'web.tar');
  const manifest = { content, derivation: derivation as NonNullable<typeof derivation>, toplevel: newSystem };
  await realiseToplevel(machine, { transaction, manifest });
  return started;
}

test('a derivation that gives another system than the manifest names is refused', async (t) => {
  await assert.rejects(realising(t, [oldSystem], 'derivation'), {
    code: 'output-mismatch',
    detail: `${derivation} produces ${oldSystem}, not ${newSystem}`,
  });
  await assert.rejects(realising(t, [], 'derivation'), {
    code: 'output-mismatch',
    detail: / produces , not /,
  });
});

test('one of several outputs is enough, and what carries its system is not realised', async (t) => {
  assert.ok((await realising(t, [oldSystem, newSystem], 'derivation')).length > 0);
  assert.deepEqual(await realising(t, [oldSystem], 'closure'), []);
});
