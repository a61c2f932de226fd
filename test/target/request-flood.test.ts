/** What an agent that was taken over can make root write down: requests without end that fail their verification. */
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { settingsParser } from '../../src/core/policy/settings.ts';
import { trustSetOf } from '../../src/signing/verify.ts';
import { readUnverified } from '../../src/state/unverified.ts';
import type { RootMachine } from '../../src/target/machine/machine.ts';
import { serveActivations } from '../../src/target/root/activation.ts';
import { temporaryFolder } from '../support/bundles.ts';
import { manifestText, policy } from '../support/manifests.ts';

const count = 100;

test('requests that fail their verification are answered, and leave a count and no line in the journal', async (t) => {
  const folder = await temporaryFolder(t);
  const state = join(folder, 'activation');
  const requests = join(folder, 'run/requests');
  await mkdir(requests, { recursive: true });
  await mkdir(state);
  for (let n = 0; n < count; n++) {
    const transaction = n.toString(16).padStart(12, '0');
    const stem = join(requests, transaction);
    await writeFile(`${stem}.manifest`, manifestText({ sequence: n + 1 }));
    await writeFile(`${stem}.signatures`, `k:${Buffer.alloc(64, n).toString('base64')}\n`);
    const request = { schema: 2, transaction, operation: 'switch', source: 'forged' };
    await writeFile(`${stem}.json`, JSON.stringify(request));
  }
  const trustedKeys = [{ key: `k:${Buffer.alloc(32, 9).toString('base64')}`, roles: [] }];
  const settings = settingsParser.parse({
    stateDirectory: state,
    activationDirectory: state,
    runtimeDirectory: join(folder, 'run'),
  });
  const machine = {
    settings,
    floorDirectory: state,
    requestsDirectory: join(folder, 'run'),
    policy,
    trust: trustSetOf({ ...policy, trustedKeys }),
    emit: () => undefined,
    clock: { now: () => new Date('2026-11-28T12:00:00Z') },
    role: 'root',
  } as unknown as RootMachine;

  await serveActivations(machine);
  const left = (await readdir(requests)).filter((name) => name.endsWith('.json')).length;
  assert.ok(left > 0 && left < count, `one start serves some of them: ${left} are left`);
  while ((await readdir(requests)).length > 0) await serveActivations(machine);

  await assert.rejects(stat(join(state, 'journal')), /ENOENT/);
  const { count: counted, code } = (await readUnverified(state)) ?? {};
  assert.deepEqual([counted, code], [count, 'signature-invalid']);
  const answer = JSON.parse(await readFile(join(state, 'receipts', `${'0'.repeat(12)}.json`), 'utf8')) as {
    state: string;
    code: string;
  };
  assert.deepEqual([answer.state, answer.code], ['refused', 'signature-invalid']);
});
