/** The key by which the desk knows a machine: whole after any cut between its two halves. */
import assert from 'node:assert/strict';
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { policyParser } from '../../src/core/policy/policy.ts';
import { generateKeyPair } from '../../src/signing/nix-key.ts';
import { ensureHostKey, publicText, readHostKey } from '../../src/target/root/host-key.ts';
import { temporaryFolder } from '../support/bundles.ts';

const trusted = generateKeyPair('fleet-1').public;
const policy = policyParser.parse({ schema: 1, host: 'web', operation: 'switch', trustedKeys: [trusted] });

async function keeper(t: TestContext) {
  const floorDirectory = await temporaryFolder(t);
  const file = (half: string) => join(floorDirectory, `host.${half}`);
  return { machine: { floorDirectory, policy }, file };
}

for (const [what, cut] of [
  ['missing', (file: string) => rm(file)],
  ['empty', (file: string) => writeFile(file, '')],
  ['another key’s', (file: string) => writeFile(file, `${generateKeyPair('host-web').public}\n`)],
] as const)
  test(`a public half that is ${what} is made anew from the secret one at the next need`, async (t) => {
    const { machine, file } = await keeper(t);
    const made = await ensureHostKey(machine);
    const secret = await readFile(file('secret'), 'utf8');
    await cut(file('public'));
    assert.equal(publicText(await ensureHostKey(machine)), publicText(made));
    assert.equal(await readFile(file('public'), 'utf8'), `${publicText(made)}\n`);
    assert.equal(await readFile(file('secret'), 'utf8'), secret);
    assert.equal((await stat(file('secret'))).mode & 0o777, 0o600);
    assert.equal((await stat(file('public'))).mode & 0o777, 0o644);
  });

test('asked for between the two halves, root says the key', async (t) => {
  const { machine, file } = await keeper(t);
  await assert.rejects(readHostKey(machine), /it creates one for its first receipt/);
  const made = await ensureHostKey(machine);
  await rm(file('public'));
  assert.equal(await readHostKey(machine), publicText(made));
  assert.equal(await readFile(file('public'), 'utf8'), `${publicText(made)}\n`);
});
