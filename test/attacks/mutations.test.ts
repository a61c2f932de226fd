/** A good bundle changed at random, thousands of times: refused with a code each time, or not changed at all. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { NixmakerError } from '../../src/core/errors.ts';
import { makeTrustSet } from '../../src/signing/verify.ts';
import { fuzz, fuzzedDigest, openFromMemory, textParsers } from '../fuzz/target.ts';
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

/** Text that looks like what each of them reads, and text that does not. */
const anyText = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary' }),
  fc.json(),
  fc.stringMatching(/^[A-Za-z0-9._-]{1,20}:[A-Za-z0-9+/]{0,90}={0,2}\n?$/),
  // Lines of canonical JSON, and such as are nearly so.
  fc.array(fc.json(), { maxLength: 4 }).map((values) => values.map((v) => `${v}\n`).join('')),
  fc
    .array(fc.tuple(fc.nat(4), fc.constantFrom('whole', 'delta'), fc.nat(), fc.string()), { maxLength: 4 })
    .map((ways) => [fuzzedDigest, ...ways].map((way) => `${JSON.stringify(way)}\n`).join('')),
  fc.stringMatching(/^\/nix\/store\/[0-9a-z]{32}-[a-zA-Z0-9+._?=-]{0,20}(\.drv)?$/),
);

for (const [name, parse] of Object.entries(textParsers)) {
  test(`no text makes ${name} throw anything but a refusal`, () => {
    fc.assert(
      fc.property(anyText, (text) => {
        try {
          parse(text);
        } catch (error) {
          assert.ok(error instanceof NixmakerError, String(error));
        }
      }),
      { numRuns: allCases ? 100_000 : 1000 },
    );
  });
}

test('what the fuzzer has ever found stays mended', async () => {
  const { readdir } = await import('node:fs/promises');
  const folder = join(import.meta.dirname, '../fuzz/corpus');
  const names = await readdir(folder);
  assert.ok(names.length >= 5);
  for (const name of names) await fuzz(await readFile(join(folder, name)));
});
