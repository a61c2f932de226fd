/** After a power cut within an import: what is damaged goes, and where it can’t, a person is told. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { CommandResult } from '../../../src/core/ports.ts';
import { repairStore } from '../../../src/target/machine/repair-store.ts';
import { Transaction } from '../../../src/target/machine/transaction.ts';
import { storePathOf } from '../../support/releases.ts';
import { rootInMemory } from '../../support/root-machine.ts';

const [old, whole, damaged, above] = [1, 2, 3, 4].map((n) => storePathOf(n, `path-${n}`));
const since = new Date('2026-11-28T12:00:00Z');
const begun = since.getTime() / 1000;

/** A store with one path that was there long before, and two of the import, of which one is damaged and needed by another. */
async function repaired(t: TestContext, deletion: Partial<CommandResult>) {
  const { machine, events, started } = await rootInMemory(t, {
    answer: ([program, ...args]) => {
      const infos = {
        [String(old)]: { registrationTime: begun - 7200 },
        [String(whole)]: { registrationTime: begun + 5 },
        [String(damaged)]: { registrationTime: begun - 1800 },
      };
      if (args.includes('path-info')) return { stdout: JSON.stringify(infos) };
      if (args.includes('verify')) return { exitCode: args.includes(String(damaged)) ? 1 : 0 };
      if (args.includes('--referrers-closure')) return { stdout: `${damaged}\n${above}\n` };
      return program === 'nix' && args.includes('delete') ? deletion : undefined;
    },
  });
  const transaction = await Transaction.begin(machine, 'web.tar');
  const repairing = repairStore(machine, { transaction, since });
  return {
    ...{ repairing, events, transaction },
    deleted: () => started.find(({ argv }) => argv.includes('delete'))?.options.input,
  };
}

test('what became valid since the import began is looked at, and what is damaged goes with all that needs it', async (t) => {
  const { repairing, events, transaction, deleted } = await repaired(t, {});
  await repairing;
  const checked = events.find((e) => e.event === 'store-checked');
  assert.deepEqual([checked?.checked, checked?.damaged], [2, [damaged]]);
  assert.equal(deleted(), `${damaged}\n${above}\n`);
  assert.match(transaction.known.notices?.join() ?? '', /^1 store paths damaged by a power cut/);
});

test('a damaged path that is in use can’t be taken out, and that is told with its name', async (t) => {
  const { repairing, transaction } = await repaired(t, { exitCode: 1 });
  await assert.rejects(repairing, {
    code: 'store-corrupt',
    detail: `${damaged}: nix-failed: 2 of 2 store paths are still there, the first is ${damaged}: nix exited with 1`,
  });
  assert.equal(transaction.known.notices, undefined);
});
