/** Advisories held against what is installed: by name and version, as Nix compares them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { AdvisoryBook, parseAdvisories } from '../../src/core/advisories.ts';
import { compareVersions, splitDrvName } from '../../src/core/nix-version.ts';
import type { StorePath } from '../../src/core/store-path.ts';

const path = (name: string) => `/nix/store/${'0'.repeat(32)}-${name}` as StorePath;

const version = fc.string({
  unit: fc.constantFrom('0', '1', '2', '10', '.', '-', 'a', 'rc', 'pre'),
  maxLength: 8,
});

test('versions are in one order, whichever way two of them are compared', () => {
  fc.assert(
    fc.property(version, version, (a, b) => {
      assert.equal(Math.sign(compareVersions(a, b)), -Math.sign(compareVersions(b, a)) + 0);
      assert.equal(compareVersions(a, a), 0);
    }),
  );
  // The examples of Nix’s manual (nix-env --upgrade).
  for (const [older, newer] of [
    ['1.0', '2.3'],
    ['2.1', '2.3'],
    ['2.3', '2.3.1'],
    ['2.3pre1', '2.3'],
    ['2.3a', '2.3c'],
    ['2.3pre3', '2.3pre12'],
    ['2.3pre1', '2.3c'],
    ['2.3pre1', '2.3q'],
  ] as const)
    assert.ok(compareVersions(older, newer) < 0, `${older} ${newer}`);
});

test('a name ends where a version begins', () => {
  assert.deepEqual(splitDrvName('openssl-3.0.14-bin'), { name: 'openssl', version: '3.0.14-bin' });
  assert.deepEqual(splitDrvName('nixos-system-web'), { name: 'nixos-system-web', version: '' });
  assert.deepEqual(splitDrvName('python3.12-requests-2.31'), {
    name: 'python3.12-requests',
    version: '2.31',
  });
});

const osv = (fields: object) => ({ id: 'CVE-2026-1', ...fields });
const of = (fields: object) => ({
  affected: [{ package: { ecosystem: 'nixpkgs', name: 'openssl' }, ...fields }],
});
const range = (...events: object[]) => of({ ranges: [{ type: 'ECOSYSTEM', events }] });

function judged(entry: object, name: string): string {
  const read = parseAdvisories(osv(entry));
  assert.ok(read);
  const [match] = new AdvisoryBook(read.advisories).matches([path(name)]);
  return match === undefined ? 'no' : match.isCertain ? 'yes' : 'unclear';
}

for (const [what, entry, name, says] of [
  ['before the first', range({ introduced: '3.0.0' }, { fixed: '3.0.5' }), 'openssl-2.9', 'no'],
  ['the first', range({ introduced: '3.0.0' }, { fixed: '3.0.5' }), 'openssl-3.0.0', 'yes'],
  ['the last', range({ introduced: '0' }, { fixed: '3.0.5' }), 'openssl-3.0.4', 'yes'],
  ['fixed', range({ introduced: '0' }, { fixed: '3.0.5' }), 'openssl-3.0.5', 'no'],
  ['broken again', range({ fixed: '2' }, { introduced: '0' }, { introduced: '3' }), 'openssl-3.1', 'yes'],
  ['in between', range({ introduced: '0' }, { fixed: '2' }, { introduced: '3' }), 'openssl-2.5', 'no'],
  ['last affected', range({ introduced: '0' }, { last_affected: '3.1' }), 'openssl-3.1', 'yes'],
  ['after it', range({ introduced: '0' }, { last_affected: '3.1' }), 'openssl-3.2', 'no'],
  ['an output', range({ introduced: '0' }, { fixed: '3.0.5' }), 'openssl-3.0.4-bin', 'yes'],
  ['another name', range({ introduced: '0' }), 'libressl-3.0.4', 'no'],
  ['listed', of({ versions: ['3.0.4'] }), 'openssl-3.0.4', 'yes'],
  ['not listed', of({ versions: ['3.0.4'] }), 'openssl-3.0.5', 'no'],
  [
    'only commits',
    of({ ranges: [{ type: 'GIT', events: [{ introduced: '0' }] }] }),
    'openssl-3.0.4',
    'unclear',
  ],
  ['nothing said', of({}), 'openssl-3.0.4', 'unclear'],
  ['no version here', range({ introduced: '0' }), 'openssl', 'unclear'],
] as const)
  test(`${what}: ${says}`, () => assert.equal(judged(entry, name), says));

test('one bad entry hides none of the others, what was withdrawn does not count, and anything else is none', () => {
  const good = osv(range({ introduced: '0' }));
  const read = parseAdvisories({ vulns: [good, { id: 7 }, { ...good, withdrawn: '2026-01-01' }, null] });
  assert.deepEqual([read?.advisories.length, read?.unreadable], [1, 2]);
  assert.equal(parseAdvisories([good])?.advisories.length, 1);
  assert.deepEqual(parseAdvisories([]), { advisories: [], unreadable: 0 });
  for (const bad of ['text', { any: 'thing' }, [1, 2]]) assert.equal(parseAdvisories(bad), undefined);
  fc.assert(fc.property(fc.jsonValue(), (json) => void parseAdvisories(json)));
});
