/** A person’s approval: `nixmaker ask`, which the policy runs, and `nixmaker approve`, which answers it. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { ApprovalQuestion } from '../../src/core/run/screen.ts';
import { makeTarget } from '../machines/sandboxed-target.ts';
import { makeWorkshop } from '../support/fleet.ts';

const shop = await makeWorkshop();
const target = await makeTarget(join(shop.folder, 'web'), {
  host: 'web',
  trustedKeys: [shop.keys.publicKey],
  policy: { approval: { command: ['/bin/false'], timeout: 60 } },
});
after(() => target.close());

const file = join(target.root, 'runtime/question.json');
const question = async (): Promise<ApprovalQuestion | undefined> =>
  JSON.parse(await readFile(file, 'utf8').catch(() => 'null')) ?? undefined;
/** The question that is asked by now. @param not an earlier one */
async function asked(not?: string): Promise<ApprovalQuestion> {
  for (;;) {
    const found = await question();
    if (found !== undefined && found.id !== not) return found;
    await new Promise((resolve) => setImmediate(resolve));
  }
}
const ask = (sequence: string) =>
  target.verb('ask', [], { env: { NIXMAKER_SEQUENCE: sequence, NIXMAKER_OPERATION: 'switch' } });

test('where nothing is asked there is nothing to approve', async () => {
  const { code, stderr } = await target.verb('approve');
  assert.equal(code, 1);
  assert.match(stderr, /no question is being asked[\s\S]*\(nothing-asked\)/);
});

test('a yes is a yes to the question that was seen, and to no other', async () => {
  const first = ask('7');
  const { id, sequence, operation } = await asked();
  assert.deepEqual([sequence, operation], [7, 'switch']);
  const other = await target.verb('approve', ['000000000000']);
  assert.match(other.stderr, /000000000000 is not the question being asked[\s\S]*\(nothing-asked\)/);
  assert.equal((await target.verb('approve', ['no-id'])).code, 64);
  assert.match((await target.verb('approve', [id])).stdout, /^Approved: release 7\.$/m);
  assert.equal((await first).code, 0);
  assert.equal(await question(), undefined, 'it is asked no more');
  const second = ask('8');
  await asked(id);
  assert.match((await target.verb('approve', [id])).stderr, /is not the question being asked/);
  assert.match((await target.verb('approve', ['--refuse'])).stdout, /^Not now: release 8\.$/m);
  assert.equal((await second).code, 75);
});

test('a question that another has taken the place of ends, and does not withdraw it', async () => {
  const first = ask('9');
  const { id } = await asked();
  const second = ask('not a number');
  const newer = await asked(id);
  assert.equal(newer.sequence, undefined);
  assert.match((await target.verb('approve')).stdout, /^Approved: the bundle\.$/m);
  assert.equal((await second).code, 0);
  assert.equal((await first).code, 75);
  assert.equal(await question(), undefined);
});
