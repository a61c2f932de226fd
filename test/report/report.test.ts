import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { catalogue } from '../../src/core/catalogue.ts';
import { receiptText } from '../../src/core/run/receipt.ts';
import { table } from '../../src/report/columns.ts';
import { runHostsWithProgress } from '../../src/report/host-progress.ts';
import { makeLog } from '../../src/report/logger.ts';
import { explain, fields } from '../../src/report/tables.ts';

function collectLog(journald: boolean) {
  const lines: string[] = [];
  const emit = makeLog({ level: 'info', journald, write: (text) => lines.push(text) });
  return { lines, emit };
}

test('under journald every line begins with its priority and is one JSON object', () => {
  const { lines, emit } = collectLog(true);
  emit({ event: 'committed', transaction: 'a1' });
  emit({ event: 'refused', level: 'warn', transaction: 'a1' });
  emit({ event: 'rolled-back', level: 'error', transaction: 'a1' });
  emit({ event: 'import-progress', level: 'debug', transaction: 'a1' });
  assert.deepEqual(
    lines.map((line) => line.slice(0, 3)),
    ['<6>', '<4>', '<3>'],
  );
  for (const line of lines)
    assert.equal((JSON.parse(line.slice(3)) as { transaction: string }).transaction, 'a1');
});

test('fields from a bundle can’t pass for the log’s own, nor add a line', () => {
  const { lines, emit } = collectLog(false);
  emit({ event: 'refused', source: 'x\n{"event":"committed"}', time: 'never' });
  assert.equal(lines.length, 1);
  assert.equal(lines[0]?.indexOf('\n'), (lines[0]?.length ?? 0) - 1);
  const line = JSON.parse(lines[0] ?? '') as { event: string; time: string };
  assert.equal(line.event, 'refused');
  assert.notEqual(line.time, 'never');
});

test('off a terminal, progress is a line for each step of each host', async () => {
  let text = '';
  const run = runHostsWithProgress<{ host: string; status: 'built' | 'failed' }>({
    isTTY: false,
    isUtf8: true,
    write: (part) => {
      text += part;
    },
  });
  const outcomes = await run(['a', 'b'], async (host, say) => {
    for (const step of ['evaluating', 'building', 'building 1 of 2', 'building 2 of 2']) say(step);
    return { host, status: host === 'a' ? 'failed' : 'built' };
  });
  const lines = text.split('\n');
  for (const [host, end] of [
    ['a', 'failed'],
    ['b', 'built'],
  ]) {
    assert.deepEqual(
      lines.filter((line) => line.startsWith(`${host}: `)),
      [`${host}: evaluating`, `${host}: building`, `${host}: ${end}`],
    );
  }
  assert.deepEqual(
    outcomes.map((o) => o.status),
    ['failed', 'built'],
  );
});

test('while one host is being written, the next few are begun, and no more', async () => {
  const run = runHostsWithProgress<{ host: string; status: 'built' }>({
    isTTY: false,
    isUtf8: true,
    write: () => undefined,
  });
  const begun: string[] = [];
  const few = Promise.withResolvers<void>();
  await run(['a', 'b', 'c', 'd', 'e', 'f'], async (host) => {
    begun.push(host);
    if (begun.length === 4) few.resolve();
    if (host === 'a') {
      await few.promise;
      // Whoever would be begun has been by now.
      await setImmediate();
      assert.deepEqual(begun, ['a', 'b', 'c', 'd']);
    } else if (['b', 'c', 'd'].includes(host))
      await few.promise.then(() => setImmediate()).then(() => setImmediate());
    return { host, status: 'built' };
  });
  assert.deepEqual(begun, ['a', 'b', 'c', 'd', 'e', 'f']);
});

test('each code tells what happened and what to do, in sentences', () => {
  for (const [code, { what, next }] of Object.entries(catalogue)) {
    for (const sentence of [what, next]) assert.match(sentence, /^[A-Z].*\.$/s, code);
  }
  assert.match(
    explain('wrong-host', 'the bundle is for mail\u001b[2J', 'machine'),
    /another host.*mail\\u001b\[2J.*\(wrong-host\)\n$/s,
  );
});

test('a report escapes what a bundle’s name could do to a terminal', () => {
  const text = receiptText({
    schema: 1,
    transaction: 'a1',
    at: '2026-11-23T12:00:00Z',
    source: 'evil\u001b]0;title\u0007.tar',
    state: 'refused',
    code: 'not-a-bundle',
    detail: 'x',
  });
  assert.ok(text.includes('evil\\u001b]0;title\\u0007.tar'));
});

test('tables line up, and unknown values are a dash or left out', () => {
  assert.equal(
    table(
      ['A', 'LONG'],
      [
        ['x', undefined],
        ['yyy', 2],
      ],
    ),
    'A    LONG\nx    -\nyyy  2\n',
  );
  assert.equal(
    fields([
      ['One', 1],
      ['Two', undefined],
    ]),
    'One: 1\n',
  );
});
