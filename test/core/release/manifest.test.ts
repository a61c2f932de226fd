import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { NixmakerError, type ReasonCode } from '../../../src/core/errors.ts';
import {
  encodeManifest,
  formatOf,
  metaText,
  parseManifest,
  rootOf,
} from '../../../src/core/release/manifest.ts';
import { manifestInput } from '../../support/manifests.ts';

const text = encodeManifest(manifestInput());

function refused(changed: string, code: ReasonCode = 'manifest-malformed', detail = /./): void {
  assert.notEqual(changed, text);
  assert.throws(
    () => parseManifest(changed),
    (error: unknown) => error instanceof NixmakerError && error.code === code && detail.test(error.detail),
  );
}

test('a manifest reads back as it was written, with all there may be in it', () => {
  const input = manifestInput({
    expiresAt: '2027-01-01T00:00:00Z',
    machineId: '0'.repeat(32),
    downgradeFrom: 9,
    tarball: { size: 5, sha256: 'b'.repeat(64) },
    notes: 'two\nlines',
    flake: { revision: 'abc', description: 'x' },
  });
  const encoded = encodeManifest(input);
  const manifest = parseManifest(encoded);
  assert.equal(encodeManifest(manifest), encoded);
  assert.deepEqual(manifest.flake, { description: 'x', revision: 'abc' });
  assert.match(encoded, /^\{"schema":2,"host":"web",/);
});

test('the order in which fields are given is not that in which they are written', () => {
  const reversed = Object.fromEntries(Object.entries(manifestInput()).reverse()) as ReturnType<
    typeof manifestInput
  >;
  assert.equal(encodeManifest(reversed), text);
});

test('what is imported ends the index: the system, or its recipe', () => {
  const recipe = parseManifest(encodeManifest(manifestInput({ content: 'derivation' })));
  assert.equal(rootOf(recipe), recipe.derivation);
  const system = parseManifest(text);
  assert.equal(rootOf(system), system.toplevel);
});

test('a manifest that names a tarball is that of the classic pair, any other that of a bundle', () => {
  const tarball = { size: 5, sha256: 'b'.repeat(64) };
  assert.equal(formatOf(parseManifest(encodeManifest(manifestInput({ tarball })))), 'classic');
  assert.equal(formatOf(parseManifest(text)), 'bundle');
});

test('meta is what the original tool wrote: the recipe, then the system', () => {
  const { derivation, toplevel } = manifestInput();
  assert.equal(metaText(parseManifest(text)), `${derivation}\n${toplevel}\n`);
});

for (const [what, from, to] of [
  ['a key given twice', '"sequence":7', '"sequence":7,"sequence":8'],
  ['a sequence beyond 2^53', '"sequence":7', '"sequence":9007199254740993'],
  ['__proto__ as a key', '{"schema":2', '{"__proto__":{"host":"x"},"schema":2'],
  ['an unknown field', '"schema":2', '"schema":2,"extra":true'],
  ['an unknown total', '"files":5', '"files":5,"extra":1'],
  ['an unknown field of the index', '"index":{', '"index":{"extra":1,'],
  ['another order', '"host":"web","system":"x86_64-linux"', '"system":"x86_64-linux","host":"web"'],
  ['another order of totals', '"paths":3,"files":5', '"files":5,"paths":3'],
  ['another spelling of a number', '"sequence":7', '"sequence":7.0'],
  ['white space', '"sequence":7', '"sequence": 7'],
  ['an escaped letter', '"host":"web"', '"host":"\\u0077eb"'],
  ['a sequence of zero', '"sequence":7', '"sequence":0'],
  ['a host with a slash', '"host":"web"', '"host":"a/b"'],
  ['a host that begins with a dot', '"host":"web"', '"host":"..web"'],
  ['a time without a zone', '2026-11-23T12:00:00Z', '2026-11-23T12:00:00'],
  ['a day that does not exist', '2026-11-23T12:00:00Z', '2026-13-41T12:00:00Z'],
  ['a toplevel outside the store', '"toplevel":"/nix/store/', '"toplevel":"/etc/'],
  ['a derivation that is none', '-web-26.05.drv', '-web-26.05.drw'],
  ['no paths', '"paths":3', '"paths":0'],
  ['more paths than an index may have', '"paths":3,"files":5', '"paths":200001,"files":300000'],
  ['fewer files than paths', '"files":5', '"files":2'],
  ['a largest NAR beyond the sum', '"largestNar":200', '"largestNar":301'],
  ['a negative total', '"blocks":7', '"blocks":-1'],
  ['an empty index', '"size":400', '"size":0'],
  ['an index larger than is read', '"size":400', `"size":${64 * 1024 * 1024 + 1}`],
  ['a digest in upper case', 'a'.repeat(64), 'A'.repeat(64)],
  ['no newline at the end', '}\n', '}'],
  ['a floor that is not above the sequence', '"content"', '"downgradeFrom":7,"content"'],
  ['notes that turn around', '"index"', '"notes":"x\u202ey","index"'],
] as const)
  test(`a manifest with ${what} is refused`, () => {
    assert.ok(text.includes(from));
    refused(text.replace(from, to));
  });

test('notes with terminal escapes, and with half a letter, are refused', () => {
  for (const notes of ['\u001b[2J', 'a\u009b', 'half \ud800', 'tag \u2066'])
    refused(
      encodeManifest(manifestInput({ notes })),
      'manifest-malformed',
      /notes: contains control characters/,
    );
});

test('a newer schema, and an older one, are told as such', () => {
  refused(text.replace('"schema":2', '"schema":3'), 'schema-unsupported', /schema 3; this nixmaker reads 2/);
  refused(text.replace('"schema":2', '"schema":1'), 'schema-unsupported', /schema 1/);
  refused(text.replace('"schema":2', '"schema":"2"'), 'manifest-malformed');
});

test('64 KiB are read, and not a byte more; what is nested a million deep is refused', () => {
  const notes = 'n'.repeat(16 * 1024);
  assert.equal(parseManifest(encodeManifest(manifestInput({ notes }))).notes, notes);
  refused(encodeManifest(manifestInput({ notes: `${notes}n` })), 'manifest-malformed', /notes/);
  refused(`${' '.repeat(64 * 1024)}${text}`, 'manifest-malformed', /exceeds 65536 bytes/);
  refused(`${'['.repeat(30_000)}${']'.repeat(30_000)}`);
});

test('no change of letters gives the same manifest, or throws anything but a refusal', () => {
  const change = fc.tuple(fc.nat(text.length - 1), fc.string({ maxLength: 2 }));
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), (changes) => {
      let changed = text;
      for (const [at, by] of changes) changed = changed.slice(0, at) + by + changed.slice(at + 1);
      try {
        assert.equal(encodeManifest(parseManifest(changed)), changed);
      } catch (error) {
        assert.ok(error instanceof NixmakerError, String(error));
      }
    }),
    { numRuns: 500 },
  );
});
