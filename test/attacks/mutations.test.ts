/** A good bundle changed at random, thousands of times: refused with a code each time, or not changed at all. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { NixmakerError } from '../../src/core/errors.ts';
import { makeTrustSet } from '../../src/signing/verify.ts';
import { readCorpus } from '../fuzz/corpus.ts';
import { judge } from '../fuzz/judge.ts';
import { openFromMemory } from '../fuzz/memory-file.ts';
import { targets } from '../fuzz/targets.ts';
import { anyCharacter } from '../support/any-character.ts';
import { pair, temporaryFolder, writeTestBundle } from '../support/bundles.ts';
import { allCases } from '../support/cases.ts';
import { mutate, randomFrom } from '../support/mutate.ts';

const trust = makeTrustSet([pair.public], 1);
const rounds = allCases ? 500_000 : 10_000;
const seed = Number(process.env.NIXMAKER_SEED ?? 20_261_126);

test(`${rounds} mutations of a good bundle, from the seed ${seed}`, async (t) => {
  const path = join(await temporaryFolder(t), 'web.tar');
  await writeTestBundle(path);
  const good = await readFile(path);
  await openFromMemory(good, trust);
  const random = randomFrom(seed);
  const codes = new Map<string, number>();
  for (let round = 0; round < rounds; round++) {
    const changed = mutate(good, random);
    try {
      await openFromMemory(changed, trust);
      assert.ok(changed.equals(good), `round ${round}: a changed bundle was taken for good`);
    } catch (error) {
      assert.ok(error instanceof NixmakerError, `round ${round}: ${error}`);
      codes.set(error.code, (codes.get(error.code) ?? 0) + 1);
    }
  }
  t.diagnostic([...codes].map(([code, count]) => `${code} ${count}`).join(', '));
  // Unless every kind of damage was done, the mutations are too tame to show anything.
  for (const code of [
    'signature-invalid',
    'bundle-altered',
    'bundle-malformed',
    'bundle-truncated',
    'bundle-trailing-data',
  ])
    assert.ok((codes.get(code) ?? 0) > 0, `never ${code}`);
});

/** Text that looks like what one of them reads, and text that does not. */
const anyText = fc.oneof(
  fc.string(),
  fc.string({ unit: anyCharacter }),
  fc.json(),
  fc.stringMatching(/^[A-Za-z0-9._-]{1,20}:[A-Za-z0-9+/]{0,90}={0,2}\n?$/),
  // Lines of canonical JSON, and such as are nearly so.
  fc.array(fc.json(), { maxLength: 4 }).map((values) => values.map((v) => `${v}\n`).join('')),
  fc.stringMatching(/^\/nix\/store\/[0-9a-z]{32}-[a-zA-Z0-9+._?=-]{0,20}(\.drv)?$/),
);

/** Nothing but what its target allows, as far as it shows here. */
async function isSound(target: (typeof targets)[number], data: Buffer): Promise<void> {
  const finding = await judge(target, data);
  assert.equal(finding?.why, undefined, `${JSON.stringify(data.toString('latin1').slice(0, 300))}`);
}

for (const target of targets) {
  test(`${target.name}: what is good is taken`, async () => {
    const [first] = await target.seeds();
    await target.run(first as Buffer);
  });

  test(`${target.name}: what the fuzzer has kept or found is taken as it should be`, async () => {
    for (const data of await readCorpus(target.name)) await isSound(target, data);
  });

  test(`${target.name}: no text brings about anything but a refusal`, async () => {
    await fc.assert(
      fc.asyncProperty(anyText, (text) => isSound(target, Buffer.from(text))),
      { numRuns: allCases ? 20_000 : 100 },
    );
  });
}

test('there is a corpus', async () => {
  const sizes = await Promise.all(targets.map(async ({ name }) => (await readCorpus(name)).length));
  assert.ok(sizes.filter((size) => size > 0).length > targets.length / 2, sizes.join());
});
