import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeManifest, formatOf, parseManifest } from '../../src/core/bundle/manifest.ts';
import { glanceAtManifest, glanceBytes, listMembers } from '../../src/core/bundle/manifest-glance.ts';
import { NixmakerError, type ReasonCode } from '../../src/core/errors.ts';
import { manifestInput, manifestText, pathOf } from '../support/manifests.ts';

function refused(text: string, code: ReasonCode): void {
  assert.throws(
    () => parseManifest(text),
    (error: unknown) => error instanceof NixmakerError && error.code === code,
  );
}

test('a manifest is read back as it was written', () => {
  const manifest = parseManifest(
    manifestText({ notes: 'two\nlines', flake: { revision: 'abc', description: 'x' } }),
  );
  assert.equal(manifest.host, 'web');
  assert.equal(manifest.paths[0]?.references[0], pathOf('c', 'library'));
  assert.equal(formatOf(manifest), 'bundle');
});

test('a key given twice is refused, though JSON.parse would take the last', () => {
  refused(manifestText().replace('"sequence":7', '"sequence":7,"sequence":8'), 'manifest-malformed');
});

test('a sequence beyond 2^53 is refused, though JSON.parse would round it', () => {
  refused(manifestText().replace('"sequence":7', '"sequence":9007199254740993'), 'manifest-malformed');
});

test('__proto__ as a key is refused', () => {
  refused(
    manifestText().replace('{"schema":1', '{"__proto__":{"host":"x"},"schema":1'),
    'manifest-malformed',
  );
});

for (const [what, from, to] of [
  ['an unknown field', '"schema":1', '"schema":1,"extra":true'],
  ['an unknown field of a path', '"narSize":100', '"narSize":100,"extra":true'],
  ['another spelling of a number', '"sequence":7', '"sequence":7.0'],
  ['white space', '"sequence":7', '"sequence": 7'],
  ['an escaped letter', '"host":"web"', '"host":"\\u0077eb"'],
  ['a sequence of zero', '"sequence":7', '"sequence":0'],
  ['a negative size', '"narSize":100', '"narSize":-1'],
  ['a host with a slash', '"host":"web"', '"host":"a/b"'],
  ['a host that begins with a dot', '"host":"web"', '"host":"..web"'],
  ['a time without a zone', '2026-11-23T12:00:00Z', '2026-11-23T12:00:00'],
  ['a day that does not exist', '2026-11-23T12:00:00Z', '2026-13-41T12:00:00Z'],
  ['a member outside the bundle', '"name":"meta"', '"name":"../meta"'],
  ['a toplevel outside the store', '"toplevel":"/nix/store/', '"toplevel":"/etc/'],
] as const) {
  test(`${what} is refused`, () => {
    const text = manifestText();
    assert.ok(text.includes(from));
    refused(text.replace(from, to), 'manifest-malformed');
  });
}

test('fields in another order are refused: one manifest has one spelling', () => {
  const { host, ...rest } = manifestInput();
  refused(`${JSON.stringify({ ...rest, host })}\n`, 'manifest-malformed');
});

test('a newer schema is told apart from damage', () => {
  refused(manifestText().replace('"schema":1', '"schema":2'), 'schema-unsupported');
});

test('a reference to a path that is not listed is an incomplete closure', () => {
  const input = manifestInput();
  const [first] = input.paths;
  assert.ok(first !== undefined);
  refused(manifestText({ paths: [first] }), 'closure-incomplete');
});

test('a closure without its own toplevel is incomplete', () => {
  refused(manifestText({ toplevel: pathOf('d', 'nixos-system-web-26.05') }), 'closure-incomplete');
});

test('a path listed twice is refused', () => {
  const input = manifestInput();
  refused(manifestText({ paths: [...input.paths, ...input.paths] }), 'manifest-malformed');
});

test('notes with an escape sequence are refused', () => {
  refused(manifestText({ notes: 'all is \u001b[32mwell' }), 'manifest-malformed');
});

for (const change of ['missing', 'swapped', 'foreign'] as const) {
  test(`members that are ${change} do not make a bundle`, () => {
    const { members } = manifestInput();
    const changed = {
      missing: members.slice(1),
      swapped: members.toSpliced(0, 2, ...members.slice(0, 2).reverse()),
      foreign: [...members, { name: 'other.tar.gz', size: 1, sha256: '0'.repeat(64) }],
    }[change];
    const manifest = parseManifest(manifestText({ members: changed }));
    assert.throws(() => formatOf(manifest), /manifest-malformed/);
  });
}

test('a tarball and meta make the classic format, for its own host only', () => {
  const classic = (host: string) => [
    { name: `${host}.tar.gz`, size: 1, sha256: '0'.repeat(64) },
    { name: 'meta', size: 1, sha256: '0'.repeat(64) },
  ];
  assert.equal(formatOf(parseManifest(manifestText({ members: classic('web') }))), 'classic');
  assert.throws(() => formatOf(parseManifest(manifestText({ members: classic('mail') }))));
});

test('a glance at the beginning shows what the whole reading shows, and refuses what can’t be shown', () => {
  const optional = {
    expiresAt: '2030-01-01T00:00:00Z',
    machineId: '0123456789abcdef0123456789abcdef',
    notes: 'all is ,"content": well',
  };
  for (const text of [encodeManifest(manifestInput()), manifestText(optional)]) {
    const { host, sequence, createdAt } = parseManifest(text);
    for (const beginning of [text, text.slice(0, glanceBytes), text.slice(0, 400)])
      assert.deepEqual(glanceAtManifest(beginning), { host, sequence, createdAt });
    for (const [bad, code] of [
      ['', 'manifest-malformed'],
      ['{', 'manifest-malformed'],
      ['[]', 'manifest-malformed'],
      [text.slice(0, 100), 'manifest-malformed'],
      [text.replace('"schema":1', '"schema":2'), 'schema-unsupported'],
      [text.replace(`"host":"${host}"`, '"host":"\\u001b[2J"'), 'manifest-malformed'],
      [text.replace(`"sequence":${sequence}`, '"sequence":-1'), 'manifest-malformed'],
    ] as const)
      assert.throws(() => glanceAtManifest(bad), { code }, bad.slice(0, 60));
  }
});

test('the longest that comes before it leaves a glance all it needs', () => {
  const text = manifestText({
    host: 'h'.repeat(63),
    sequence: Number.MAX_SAFE_INTEGER - 1,
    expiresAt: '2030-01-01T00:00:00Z',
    machineId: '0123456789abcdef0123456789abcdef',
    downgradeFrom: Number.MAX_SAFE_INTEGER,
  });
  assert.ok(text.indexOf(',"content":') < glanceBytes / 2);
  assert.equal(glanceAtManifest(text.slice(0, glanceBytes)).host, 'h'.repeat(63));
});

test('the list of members is that of the whole reading, of what can be read', () => {
  const text = encodeManifest(manifestInput());
  assert.deepEqual(
    listMembers(text).map(({ name, sha256 }) => ({ name, sha256 })),
    parseManifest(text).members.map(({ name, sha256 }) => ({ name, sha256 })),
  );
  assert.throws(() => listMembers(text.slice(0, -20)), { code: 'manifest-malformed' });
  assert.throws(() => listMembers('{"schema":1,"members":[{"name":1}]}'), { code: 'manifest-malformed' });
  assert.throws(() => listMembers(text.replace('"schema":1', '"schema":2')), { code: 'schema-unsupported' });
});
