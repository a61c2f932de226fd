/** What a bundle should not carry, and by which way it comes in. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ClosureNode, findLeaks } from '../../../src/core/bundle/leaks.ts';
import { Namesakes, stemOf } from '../../../src/core/bundle/predecessor.ts';
import type { StorePath } from '../../../src/core/store-path.ts';
import { storePathOf } from '../../support/releases.ts';

const root = storePathOf(1, 'nixos-system-web-26.05');
const [etc, unit, source] = [storePathOf(2, 'etc'), storePathOf(3, 'unit'), storePathOf(4, 'source')];
const specialisation = storePathOf(5, 'nixos-system-web-25.11');
const mail = storePathOf(6, 'nixos-system-mail-26.05');
const known = storePathOf(7, 'vm');
const node = (path: StorePath, ...references: StorePath[]): ClosureNode => ({ path, references });
const asked = (closure: readonly ClosureNode[], changes = {}) =>
  findLeaks({ root, closure, sources: new Set(), otherSystems: new Set(), ...changes });

test('a system that holds itself, a specialisation and what is its own leaks nothing', () => {
  const closure = [node(root, etc, specialisation, root), node(etc, unit), node(unit), node(specialisation)];
  assert.deepEqual(asked(closure, { sources: new Set([source]), otherSystems: new Set([mail]) }), []);
});

test('the source and another’s system are told with the shortest way to them', () => {
  const closure = [
    node(root, etc, unit),
    node(etc, unit, mail, etc),
    node(unit, source, known),
    node(source),
    node(mail),
    node(known),
  ];
  assert.deepEqual(asked(closure, { sources: new Set([source]), otherSystems: new Set([known]) }), [
    { kind: 'source', path: source, chain: [root, unit, source] },
    { kind: 'other-host', path: mail, chain: [root, etc, mail] },
    { kind: 'other-host', path: known, chain: [root, unit, known] },
  ]);
});

test('the root is never a leak, though it is asked about as another’s', () => {
  assert.deepEqual(asked([node(root)], { sources: new Set([root]), otherSystems: new Set([root]) }), []);
});

test('a derivation of the same host’s is its own; of another’s it is not', () => {
  const own = storePathOf(8, 'nixos-system-web-26.05.drv');
  const others = storePathOf(9, 'nixos-system-mail-26.05.drv');
  const leaks = asked([node(root, own, others), node(own), node(others)]);
  assert.deepEqual(
    leaks.map((l) => l.path),
    [others],
  );
});

test('a name without its versions, whatever stands where', () => {
  for (const [name, stem] of [
    ['openssl-3.0.14-bin', 'openssl-bin'],
    ['7zip-24', '7zip'],
    ['etc', 'etc'],
    ['linux-6.12-x2', 'linux-x2'],
  ] as const)
    assert.equal(stemOf(storePathOf(1, name)), stem);
});

test('what a path comes from is that of its name, else of its stem; of several the nearest in size, of those the first', () => {
  const sized = (n: number, name: string, narSize: number) => ({ path: storePathOf(n, name), narSize });
  const base = [
    sized(1, 'vim-1', 100),
    sized(2, 'vim-2', 220),
    sized(3, 'vim-2', 180),
    sized(4, 'vim-3', 201),
    sized(5, 'etc', 1),
  ];
  const of = (name: string, narSize: number) => {
    const path = sized(9, name, narSize);
    return new Namesakes(base).of(path)[0]?.path;
  };
  assert.equal(of('vim-2', 201), base[1]?.path, 'its name goes before a nearer size');
  assert.equal(of('vim-2', 200), base[1]?.path, 'of two as near the first');
  assert.equal(of('vim-2', 199), base[2]?.path);
  assert.equal(of('vim-4', 205), base[3]?.path);
  assert.equal(of('vim-4', 99), base[0]?.path);
  assert.equal(of('emacs-1', 5), undefined);
  assert.deepEqual(new Namesakes(base).of(sized(9, 'emacs', 1)), []);
});
