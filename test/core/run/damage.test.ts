/** Which of contents, database and what was signed is wrong. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  damagedNames,
  type Evidence,
  isReplaceable,
  judgeContents,
  nothingRead,
  reportOf,
} from '../../../src/core/run/damage.ts';
import { judgeHost } from '../../../src/report/fleet-condition.ts';
import { well } from '../../support/fleet-hosts.ts';
import { storePathOf } from '../../support/releases.ts';

const read = (narHash: string) => ({ kind: 'read', narHash }) as const;
const judge = (evidence: Partial<Evidence>) =>
  judgeContents({
    onDisk: read('a'),
    stored: { narHash: 'a' },
    isStoredSigned: false,
    signed: [],
    ...evidence,
  });

test('the database’s word alone is no proof', () => {
  assert.equal(judge({}), undefined);
  assert.equal(judge({ onDisk: read('b') }), 'unknown');
  assert.equal(judge({ onDisk: read('b'), isStoredSigned: true }), 'altered');
  assert.equal(judge({ onDisk: read('b'), signed: ['a'] }), 'altered');
  assert.equal(judge({ onDisk: read('b'), signed: ['b'] }), 'database');
  assert.equal(judge({ onDisk: read('b'), signed: ['c'] }), 'differs');
  assert.equal(judge({ signed: ['b'] }), 'differs');
  assert.equal(judge({ signed: ['b'], isStoredSigned: true }), undefined, 'root has compared it');
  assert.equal(judge({ onDisk: { kind: 'missing' } }), 'missing');
  assert.equal(judge({ onDisk: { kind: 'missing' }, signed: ['b'] }), 'differs');
});

const hash = fc.constantFrom('a', 'b', 'c');

test('nothing is replaced unless what it becomes is what was signed, as far as anything was', () => {
  const evidence = fc.record({
    onDisk: fc.oneof(hash.map(read), fc.constant({ kind: 'missing' } as const)),
    stored: fc.record({ narHash: hash }),
    isStoredSigned: fc.boolean(),
    signed: fc.array(hash, { maxLength: 2 }),
  });
  fc.assert(
    fc.property(evidence, (e) => {
      const what = judgeContents(e);
      if (what === undefined) assert.deepEqual(e.onDisk, read(e.stored.narHash));
      else if (isReplaceable({ what })) {
        assert.notDeepEqual(e.onDisk, read(e.stored.narHash));
        assert.ok(e.isStoredSigned || e.signed.includes(e.stored.narHash) || e.signed.length === 0);
        if (what === 'altered') assert.ok(e.isStoredSigned || e.signed.length > 0);
      }
    }),
  );
});

test('the desk is told what is damaged, and which release to bring again', () => {
  assert.equal(reportOf(nothingRead), undefined, 'what was never read is not reported as whole');
  const damaged = [1, 2, 3, 4].map((n) => ({ path: storePathOf(n), what: 'altered', narSize: 5 }));
  const report = reportOf({ ...nothingRead, finished: '2026-11-29T00:00:00Z', damaged, more: 2 });
  assert.deepEqual(report, { checked: '2026-11-29T00:00:00Z', paths: damaged, more: 2 });
  assert.equal(damagedNames(damaged, 2), 'p1, p2, p3 and 3 more');
  const by = { now: new Date('2026-11-24T12:00:00Z'), staleAfter: 30 };
  const { condition, reasons } = judgeHost({ ...well, damaged: report }, by);
  assert.equal(condition, 'unwell');
  assert.match(reasons.join(' '), /Damaged on its disk: p1, p2, p3 and 3 more\. Bring it release 7 again\./);
  const whole = judgeHost({ ...well, damaged: { paths: [], more: 0 } }, by);
  assert.doesNotMatch(whole.reasons.join(' '), /Damaged/);
});
