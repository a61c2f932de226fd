/** NARs read ahead: in order, none lost, none read twice; as much in memory as is allowed, and nothing left open. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Interruption } from '../../../src/core/run/interruption.ts';
import { ReadAhead } from '../../../src/target/update/read-ahead.ts';

const mebi = 1024 * 1024;

/** Lines whose NARs are three chunks each; the second of `bad` is not to be had. */
function source({ bad }: { readonly bad?: number } = {}) {
  const begun: number[] = [];
  const ended: number[] = [];
  const read = async function* (line: number) {
    begun.push(line);
    try {
      for (let chunk = 0; chunk < 3; chunk++) {
        if (line === bad && chunk === 1) throw new Error('it was pulled out');
        yield Buffer.of(line, chunk);
      }
    } finally {
      ended.push(line);
    }
  };
  return { begun, ended, read };
}

async function taken(ahead: ReadAhead, line: number): Promise<number[]> {
  const chunks: number[] = [];
  for await (const chunk of ahead.take(line)) chunks.push(...chunk);
  return chunks;
}

const whole = (line: number) => [line, 0, line, 1, line, 2];

test('each comes whole and in its turn, while the next has begun; lines that are passed over are ended', async () => {
  const { begun, ended, read } = source();
  const lines = [1, 2, 3, 4, 5];
  const ahead = new ReadAhead({ lines, read, weigh: () => mebi, interruption: undefined });
  assert.deepEqual(await taken(ahead, 1), whole(1));
  assert.deepEqual(begun, [1, 2]);
  assert.deepEqual(await taken(ahead, 2), whole(2));
  assert.deepEqual(await taken(ahead, 5), whole(5));
  await ahead.close();
  assert.deepEqual([begun, ended], [lines, lines]);
});

test('a heavy one is alone: before its end nothing else begins', async () => {
  const { begun, read } = source();
  const weigh = (line: number) => (line === 1 ? 200 : 1) * mebi;
  const ahead = new ReadAhead({ lines: [1, 2], read, weigh, interruption: undefined });
  for await (const _ of ahead.take(1)) assert.deepEqual(begun, [1]);
  assert.deepEqual(begun, [1, 2]);
  await ahead.close();
});

test('what fails, fails when its turn has come, and whoever stops in the middle leaves nothing open', async () => {
  const { ended, read } = source({ bad: 2 });
  const ahead = new ReadAhead({ lines: [1, 2, 3], read, weigh: () => 0, interruption: undefined });
  assert.deepEqual(await taken(ahead, 1), whole(1));
  await assert.rejects(taken(ahead, 2), /pulled out/);
  await ahead.close();
  assert.deepEqual(ended, [1, 2, 3]);
  await assert.rejects(taken(ahead, 7), RangeError);

  const stopped = new Interruption();
  const other = source();
  const second = new ReadAhead({ lines: [1, 2], read: other.read, weigh: () => 0, interruption: stopped });
  await assert.rejects(
    async () => {
      for await (const _ of second.take(1)) stopped.ask('SIGINT');
    },
    { code: 'stopped' },
  );
  await second.close();
  assert.deepEqual(other.ended, [1, 2]);
});
