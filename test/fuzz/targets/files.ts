/** Small files of ours that others could have damaged, and the names of files that anybody may choose. */
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join, normalize } from 'node:path';
import { gzipSync } from 'node:zlib';
import { kindOf } from '../../../src/bundle/lookalike.ts';
import { parsePoolPath, parseReceiptPath, parseSequences } from '../../../src/core/bundle/pool-paths.ts';
import { neededText } from '../../../src/core/release/parts.ts';
import { damageReport, damageText, mostDamaged, reportOf } from '../../../src/core/run/damage.ts';
import { waitText } from '../../../src/core/run/waits.ts';
import { listInbox } from '../../../src/media/inbox.ts';
import { readAfterHook } from '../../../src/state/after-hook.ts';
import { readContentsRecord } from '../../../src/state/contents-record.ts';
import { readRoomAnswer, readTidied } from '../../../src/state/freed.ts';
import { readLedger } from '../../../src/state/outbox.ts';
import { readParts } from '../../../src/state/parts.ts';
import { readProgress } from '../../../src/state/progress.ts';
import { readReceipt } from '../../../src/state/receipts.ts';
import { readRepairAnswer } from '../../../src/state/repairs.ts';
import { readStagedRecord } from '../../../src/state/staged.ts';
import { readVoucher } from '../../../src/state/vouchers.ts';
import { readWaits } from '../../../src/state/waits.ts';
import { byteMutation } from '../mutations/bytes.ts';
import { jsonMutation } from '../mutations/json.ts';
import { buffers, fileWith, sealed, type Target } from './target.ts';

const text = JSON.stringify;
const transaction = '0123456789ab';

const ledgers: Target = {
  name: 'ledgers',
  readers: ['state/outbox.ts readLedger'],
  seeds: () => buffers(text({ schema: 1, number: 4, told: [`${transaction}:committed`] })),
  mutate: jsonMutation,
  run: async (data) => {
    const { number } = await readLedger(fileWith('receipts-told', sealed(data)));
    assert.ok(Number.isInteger(number) && number >= 0);
  },
};

const progress: Target = {
  name: 'progress',
  readers: ['state/progress.ts readProgress'],
  seeds: () =>
    buffers(
      text({ transaction, step: 'import', done: 1, expected: 2, bytes: 3, expectedBytes: 4, seconds: 5 }),
    ),
  mutate: jsonMutation,
  run: (data) => readProgress(fileWith('progress.json', data)),
};

const waits: Target = {
  name: 'waits',
  readers: ['state/waits.ts readWaits'],
  seeds: () =>
    buffers(
      text({
        schema: 1,
        waits: [{ path: '/inbox/web.tar', code: 'no-space', since: '2026-11-28', tries: 3 }],
        more: 0,
      }),
    ),
  mutate: jsonMutation,
  run: async (data) => {
    for (const wait of (await readWaits(fileWith('waits.json', data))).waits)
      assert.doesNotMatch(waitText(wait), /[\n\x1b]/);
  },
};

const collected: Target = {
  name: 'collected-parts',
  readers: ['state/parts.ts readParts'],
  seeds: () =>
    buffers(
      text({
        ...{ schema: 1, host: 'web', sequence: 4, manifestDigest: 'c'.repeat(64) },
        ...{ of: 3, needed: [1, 3], here: 5, paths: 9, at: '2026-11-29T12:00:00Z' },
      }),
    ),
  mutate: jsonMutation,
  run: async (data) => {
    const parts = await readParts(fileWith('parts.json', data));
    if (parts !== undefined) assert.doesNotMatch(neededText(parts), /[\n\x1b]/);
  },
};

/** What lies anywhere, and may be a bundle. */
const firstBytes: Target = {
  name: 'first-bytes',
  readers: ['bundle/lookalike.ts kindOf'],
  seeds: () => buffers('age-encryption.org/v1\n', 'PK\x03\x04', gzipSync('manifest.json').toString('latin1')),
  mutate: byteMutation(['\x1f\x8b\x08', 'PK\x03\x04', 'manifest.json', '.tar', 'age-encryption.org/v1\n']),
  run: (data) => kindOf(data),
};

/** Root’s answers to the agent, and what the agent keeps of its runs. */
const receipts: Target = {
  name: 'receipts',
  readers: ['state/receipts.ts readReceipt', 'state/stored.ts parseStored'],
  seeds: () =>
    buffers(text({ schema: 1, transaction, state: 'refused', code: 'expired', detail: 'x', source: 's' })),
  mutate: jsonMutation,
  run: (data) => readReceipt(fileWith(join('receipts', `${transaction}.json`), data), transaction),
};

const vouchers: Target = {
  name: 'vouchers',
  readers: ['state/vouchers.ts readVoucher'],
  seeds: () =>
    buffers(text({ schema: 2, refusal: { code: 'wrong-host', detail: 'x' } }), text({ schema: 2 })),
  mutate: jsonMutation,
  run: async (data) => {
    const folder = fileWith(join('vouchers', `${transaction}.json`), data);
    writeFileSync(join(folder, 'vouchers', `${transaction}.sig`), '');
    const read = await readVoucher(folder, transaction);
    assert.ok(read === undefined || 'signatures' in read || typeof read.refusal.detail === 'string');
  },
};

const rooms: Target = {
  name: 'rooms',
  readers: [
    'state/freed.ts readRoomAnswer',
    'state/freed.ts readTidied',
    'state/after-hook.ts readAfterHook',
  ],
  seeds: () => {
    const freed = { generations: [3, 4], paths: 5, bytes: 6, bootBytes: 7, unfinished: 'busy' };
    return buffers(
      text({ schema: 1, freed }),
      text({ schema: 1, refusal: 'x' }),
      text({ schema: 1, transaction, at: 'now', freed }),
      text({ schema: 1, transaction, at: 'now', result: { hook: 'after', ok: false, said: ['x'] } }),
    );
  },
  mutate: jsonMutation,
  run: async (data) => {
    const read = await readTidied(fileWith('tidied.json', data)).catch(() => undefined);
    assert.ok(read === undefined || read.freed.generations.every((n) => n >= 0));
    const after = await readAfterHook(fileWith('after-hook.json', data)).catch(() => undefined);
    assert.ok(after === undefined || typeof after.result.ok === 'boolean');
    const answer = await readRoomAnswer(fileWith(join('rooms', `${transaction}.json`), data), transaction);
    assert.ok(answer === undefined || 'freed' in answer || typeof answer.refusal === 'string');
  },
};

const repairs: Target = {
  name: 'repairs',
  readers: ['state/contents-record.ts readContentsRecord', 'state/repairs.ts readRepairAnswer'],
  seeds: () => {
    const path = '/nix/store/0123456789abcdfghijklmnpqrsvwxyz-glibc';
    const damaged = [{ path, what: 'altered', narHash: 'sha256:x', narSize: 5 }];
    const record = { schema: 1, finished: 'now', after: path, paths: 5, unsigned: 1, damaged, more: 0 };
    return buffers(text(record), text({ schema: 1, refusal: 'x' }), text({ schema: 1 }));
  },
  mutate: jsonMutation,
  run: async (data) => {
    const file = fileWith('contents.json', data);
    const record = await readContentsRecord(file);
    assert.ok(record.damaged.length <= mostDamaged && record.damaged.every((d) => d.narSize >= 0));
    for (const known of record.damaged) assert.ok(damageText(known).startsWith('/nix/store/'));
    const report = reportOf(record);
    assert.ok(report === undefined || damageReport.safeParse(report).success);
    const folder = fileWith(join('repairs', `${transaction}.json`), data);
    const answer = await readRepairAnswer(folder, transaction).catch(() => undefined);
    assert.ok(answer?.refusal === undefined || typeof answer.refusal === 'string');
  },
};

/** What a release waits for that is in the store. */
const staged: Target = {
  name: 'staged-records',
  readers: ['state/staged.ts readStagedRecord'],
  seeds: () =>
    buffers(
      text({
        ...{ schema: 1, transaction, source: 'web.tar', code: 'outside-window', detail: 'x', at: 'now' },
        ...{ times: 0, answered: transaction },
      }),
    ),
  mutate: jsonMutation,
  run: async (data) => {
    const digest = 'd'.repeat(64);
    const read = await readStagedRecord(fileWith(join('staged', digest, 'record.json'), data), digest);
    assert.ok(read === undefined || read.times >= 0);
  },
};

/** Names of files as anybody may put them on a medium; what is taken lies where it was found. */
const names: Target = {
  name: 'file-names',
  readers: ['media/inbox.ts listInbox'],
  seeds: () => buffers('web.tar', 'web.tar.gz', 'web.tar.age', '.web.tar', 'a\nb.tar'),
  mutate: byteMutation(['.tar', '.tar.gz', '.age', '..', '.', '\n', '\x1b[2J', '\xe2\x80\xae', '~']),
  run: async (data) => {
    const name = data.toString('latin1').replace(/[/\0]/g, '_');
    if (name === '' || name === '.' || name === '..' || Buffer.byteLength(name) > 255) return;
    const folder = fileWith(join('inbox', 'x'), '');
    writeFileSync(join(folder, 'inbox', name), '');
    const found = await listInbox(join(folder, 'inbox'), {
      onFault: (_, error) => {
        throw error;
      },
    });
    rmSync(folder, { recursive: true });
    const isTaken = !name.startsWith('.') && /\.tar(?:\.gz|\.age)?$/i.test(name);
    assert.deepEqual(
      found.map((c) => c.path),
      isTaken ? [join(folder, 'inbox', name)] : [],
    );
  },
};

/** What a server is asked for, and what it says it has. */
const poolPaths: Target = {
  name: 'pool-paths',
  readers: [
    'core/bundle/pool-paths.ts parsePoolPath',
    'core/bundle/pool-paths.ts parseReceiptPath',
    'core/bundle/pool-paths.ts parseSequences',
  ],
  seeds: () =>
    buffers(
      '/nixmaker/hosts/web/12/manifest.json',
      `/nixmaker/cache/nar/0a/${'0'.repeat(52)}.nar.zst.000`,
      '/nixmaker/keyrings/2.keyring',
      '/nixmaker/receipts/web/run-0123456789ab.json',
      '12\n3\n',
    ),
  mutate: byteMutation(['..', '/', '//', '%2e', '\\', '\0', '.', 'hosts', 'nixmaker', '\n', '9'.repeat(16)]),
  run: (data) => {
    const text = data.toString('latin1');
    const receipt = parseReceiptPath(text);
    const names = parsePoolPath(text) ?? (receipt === undefined ? undefined : ['nixmaker', receipt.host]);
    for (const name of names ?? []) assert.match(name, /^(?![.])[\w.-]+$/);
    if (names !== undefined) assert.ok(normalize(text) === text && text.startsWith('/nixmaker/'));
    const sequences = parseSequences(text);
    for (const [i, each] of sequences.entries())
      assert.ok(Number.isSafeInteger(each) && each > 0 && each < (sequences[i - 1] ?? Infinity));
  },
};

export const fileTargets: readonly Target[] = [
  poolPaths,
  ledgers,
  progress,
  waits,
  collected,
  firstBytes,
  receipts,
  vouchers,
  rooms,
  repairs,
  staged,
  names,
];
