import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fingerprint, parseNarinfo, renderNarinfo } from '../../src/core/bundle/narinfo.ts';
import { NixmakerError, printable, visible } from '../../src/core/errors.ts';
import { lines } from '../../src/core/lines.ts';
import { decodeNix32, encodeNix32 } from '../../src/core/nix32.ts';
import { decide } from '../../src/core/policy/decide.ts';
import type { Policy } from '../../src/core/policy/policy.ts';
import { parseManifest } from '../../src/core/release/manifest.ts';
import { isEnd, mayFollow, type State, states } from '../../src/core/run/lifecycle.ts';
import { operations } from '../../src/core/schema.ts';
import { nix32, parseStorePath, type StorePath } from '../../src/core/store-path.ts';
import { table } from '../../src/report/columns.ts';
import { fields } from '../../src/report/tables.ts';
import { anyCharacter } from '../support/any-character.ts';
import { assertHarmless, hostile } from '../support/hostile-text.ts';
import { facts, manifestText, policy } from '../support/manifests.ts';

const hexDigest = fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: 64, maxLength: 64 });
const storePath = fc
  .tuple(
    fc.string({ unit: fc.constantFrom(...nix32), minLength: 32, maxLength: 32 }),
    fc.stringMatching(/^[a-z][a-z0-9+._-]{0,20}$/),
  )
  .map(([hash, name]) => parseStorePath(`/nix/store/${hash}-${name}`) as StorePath);

test('base 32 and bytes are two spellings of one thing', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 40 }), (bytes) => {
      assert.deepEqual(decodeNix32(encodeNix32(bytes), bytes.length), bytes);
    }),
  );
});

test('a narinfo reads back as it was written, and its fingerprint with it', () => {
  const narinfo = fc.record(
    {
      path: storePath,
      url: fc.constant('nar/x.nar.zst'),
      compression: fc.constant('zstd'),
      fileHash: fc.constant(`sha256:${'0'.repeat(52)}`),
      fileSize: fc.maxSafeNat(),
      narHash: fc.constant(`sha256:${'1'.repeat(52)}`),
      narSize: fc.maxSafeNat(),
      references: fc.array(storePath, { maxLength: 5 }),
      signatures: fc.array(fc.constant('key-1:AAAA'), { maxLength: 2 }),
    },
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(narinfo, (info) => {
      const read = parseNarinfo(renderNarinfo(info));
      assert.deepEqual(read, info);
      assert.equal(fingerprint(read), fingerprint(info));
    }),
  );
});

test('no text makes the manifest’s or the narinfo’s parser throw anything but a refusal', () => {
  const valid = manifestText();
  const mutated = fc
    .array(fc.tuple(fc.nat(valid.length - 1), fc.string({ minLength: 0, maxLength: 3 })), {
      minLength: 1,
      maxLength: 4,
    })
    .map((edits) => edits.reduce((text, [at, put]) => text.slice(0, at) + put + text.slice(at + 1), valid));
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json(), mutated), (text) => {
      for (const parse of [parseManifest, parseNarinfo]) {
        try {
          parse(text);
        } catch (error) {
          assert.ok(error instanceof NixmakerError, String(error));
        }
      }
    }),
    { numRuns: 2000 },
  );
});

const anyFacts = fc
  .record({
    manifestDigest: hexDigest,
    system: fc.constantFrom('x86_64-linux', 'aarch64-linux'),
    machineId: fc.option(fc.constantFrom('a'.repeat(32), 'b'.repeat(32)), { nil: undefined }),
    floorDoubt: fc.option(fc.constant('it is gone'), { nil: undefined }),
    signedBy: fc.subarray(['k', 'l']),
    unattended: fc.boolean(),
    clockBehind: fc.boolean(),
    floor: fc.option(fc.record({ sequence: fc.integer({ min: 1, max: 20 }), manifestDigest: hexDigest }), {
      nil: undefined,
    }),
    pending: fc.option(
      fc.record({
        sequence: fc.integer({ min: 1, max: 20 }),
        manifestDigest: hexDigest,
        operation: fc.constantFrom(...operations),
        restarted: fc.boolean(),
      }),
      { nil: undefined },
    ),
    operation: fc.constantFrom(...operations),
    toplevelInPlace: fc.boolean(),
    now: fc.date({ noInvalidDate: true }).map((d) => d.toISOString()),
  })
  .map((changes) => facts(changes));
const anyManifest = fc
  .record({
    sequence: fc.integer({ min: 1, max: 20 }),
    host: fc.constantFrom('web', 'mail'),
    above: fc.option(fc.integer({ min: 1, max: 5 }), { nil: undefined }),
  })
  .map(({ above, ...changes }) =>
    parseManifest(
      manifestText({
        ...changes,
        ...(above === undefined ? {} : { downgradeFrom: changes.sequence + above }),
      }),
    ),
  );

test('whatever the facts, the decision is a verdict, and takes no lower sequence but one signed for this floor', () => {
  fc.assert(
    fc.property(anyManifest, anyFacts, (manifest, known) => {
      const { verdict } = decide(manifest, known, policy);
      assert.ok(['accept', 'already-committed', 'already-pending', 'refuse', 'defer'].includes(verdict));
      const isForThis =
        manifest.downgradeFrom !== undefined && manifest.downgradeFrom === known.floor?.sequence;
      if (known.floor !== undefined && manifest.sequence < known.floor.sequence && !isForThis)
        assert.equal(verdict, known.floorDoubt === undefined || verdict === 'refuse' ? 'refuse' : 'defer');
      if (known.floorDoubt !== undefined || !known.signedBy.includes('k')) assert.notEqual(verdict, 'accept');
      if (known.pending !== undefined && manifest.sequence < known.pending.sequence)
        assert.notEqual(verdict, 'accept');
      if (manifest.host !== policy.host) assert.equal(verdict, 'refuse');
    }),
    { numRuns: 2000 },
  );
});

test('more trusted keys never make the threshold easier, and more signatures never harder', () => {
  const names = ['a', 'b', 'c', 'd'];
  const time = fc.option(
    fc.constantFrom('2026-01-01T00:00:00Z', '2026-11-24T00:00:00Z', '2027-01-01T00:00:00Z'),
    {
      nil: undefined,
    },
  );
  const keys = fc.tuple(
    ...names.map((name) =>
      fc.record({
        key: fc.constant(`${name}:x`),
        roles: fc.subarray(['build', 'approve']),
        notBefore: time,
        notAfter: time,
      }),
    ),
  );
  const roles = fc.record(
    { build: fc.integer({ min: 1, max: 3 }), approve: fc.integer({ min: 1, max: 3 }) },
    { requiredKeys: [], noNullPrototype: true },
  );
  const accepts = (given: Policy, signedBy: readonly string[]) =>
    decide(parseManifest(manifestText()), facts({ signedBy }), given).verdict === 'accept';
  fc.assert(
    fc.property(
      keys,
      roles,
      fc.integer({ min: 1, max: 4 }),
      fc.subarray(names),
      fc.nat(3),
      (all, asked, threshold, signedBy, i) => {
        const whole = { ...policy, trustedKeys: all, threshold, roles: asked };
        const fewer = { ...whole, trustedKeys: all.filter((_, n) => n !== i) };
        const without = signedBy.filter((name) => name !== names[i]);
        // Signatures by the keys that are left: what the other key adds is not needed by anybody.
        if (accepts(fewer, without)) assert.ok(accepts(whole, without));
        if (accepts(whole, without)) assert.ok(accepts(fewer, without), 'a key that has not signed helped');
        if (accepts(whole, without)) assert.ok(accepts(whole, signedBy), 'a signature harmed');
        if (accepts(whole, signedBy)) assert.ok(signedBy.length >= threshold);
      },
    ),
    { numRuns: 2000 },
  );
});

test('from every state an end can be reached, and no end leads on', () => {
  const reachesEnd = (state: State, seen = new Set<State>()): boolean => {
    if (isEnd(state)) return true;
    seen.add(state);
    return states.some((next) => mayFollow(state, next) && !seen.has(next) && reachesEnd(next, seen));
  };
  for (const state of states) {
    assert.ok(reachesEnd(state), `${state} leads to no end`);
    assert.equal(
      isEnd(state),
      states.every((next) => !mayFollow(state, next)),
    );
  }
});

const anyText = fc.oneof(
  fc.string({ unit: anyCharacter }),
  fc.string({ unit: fc.constantFrom(...hostile, '\\', '"', '\ud800', '\udc00') }),
);

test('what is printed never holds a control, or what can’t be seen; JSON means the same afterwards', () => {
  fc.assert(
    fc.property(anyText, (text) => {
      assertHarmless(printable(text), 'printable');
      assert.doesNotMatch(printable(text), /\n/);
      assertHarmless(visible(JSON.stringify(text)), 'visible');
      assert.equal(JSON.parse(visible(JSON.stringify(text))), text);
      assert.equal(printable(printable(text)), printable(text));
    }),
  );
});

test('no field makes a line of its own', () => {
  fc.assert(
    fc.property(anyText, anyText, (one, other) => {
      assert.equal(lines`${one}: ${other}\n`.split('\n').length, 2);
      const rows =
        fields([
          ['Label', one],
          ['Other', other],
        ]) + table(['HEAD'], [[one], [other]]);
      assert.equal(rows.split('\n').length, 6);
      assertHarmless(rows, 'rows');
    }),
  );
});
