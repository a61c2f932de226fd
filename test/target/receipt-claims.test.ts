/** What the agent says became of bundles, where root has its own record or none: at the desk, on the medium, at the machine. */
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type HostReceipt, hostReceiptType, type ReceiptRun } from '../../src/core/run/host-receipt.ts';
import { openEnvelope } from '../../src/signing/envelope.ts';
import { visitRequests, writeRequest } from '../../src/state/requests.ts';
import { makeTarget } from '../machines/sandboxed-target.ts';
import { makeWorkshop, plainHost } from '../support/fleet.ts';
import { take } from '../support/targets.ts';

const shop = await makeWorkshop();
const carried = join(shop.folder, 'carried');
const fleet = join(shop.folder, 'fleet');
await mkdir(carried);
const told = join(shop.folder, 'told');
const target = await makeTarget(join(shop.folder, 'web'), {
  host: 'web',
  trustedKeys: [shop.keys.publicKey],
  policy: {
    media: { folders: [carried] },
    receipts: { notify: ['/bin/sh', '-c', `env | grep ^NIXMAKER_ | sort >${told}`] },
  },
});
after(() => target.close());

const release = (name: string, sequence: number, switchPrelude?: string) =>
  shop.bundle(`claims-${name}`, {
    hosts: { web: plainHost('web', name) },
    args: ['--sequence', String(sequence)],
    ...(switchPrelude === undefined ? {} : { switchPrelude }),
  });
const install = async (path: string) => {
  const ran = await target.verb('switch', ['--tarball', path, '--json']);
  return JSON.parse(ran.stdout) as ReceiptRun & { sequence: number };
};

let visits = 0;
/** As an agent that was taken over would end one. */
async function endVisit(runs: readonly ReceiptRun[]): Promise<void> {
  const runtime = join(target.root, 'runtime');
  await mkdir(join(runtime, visitRequests.folder), { recursive: true });
  visits += 1;
  const transaction = visits.toString(16).padStart(12, '0');
  await writeRequest(runtime, visitRequests, {
    schema: 1,
    transaction,
    place: carried,
    findings: [],
    runs: [...runs],
  });
  const served = await target.verb('write-receipts');
  assert.equal(served.code, 0, served.stderr);
}

const folder = join(carried, 'nixmaker/receipts/web');
async function receipts(): Promise<Map<string, HostReceipt>> {
  const names = (await readdir(folder)).filter((n) => n.endsWith('.json'));
  const read = async (name: string) => {
    const { payload } = openEnvelope(await readFile(join(folder, name), 'utf8'), hostReceiptType);
    return [name, JSON.parse(payload.toString()) as HostReceipt] as const;
  };
  return new Map(await Promise.all(names.map(read)));
}

const claim = (changes: Partial<ReceiptRun>): ReceiptRun => ({
  transaction: 'f'.repeat(12),
  at: '2026-11-28T00:00:00Z',
  source: '/media/x',
  state: 'committed',
  ...changes,
});

const collect = async () => {
  const ran = await shop.builder.nixmaker(['collect', carried, '-d', fleet, '--enrol']);
  assert.equal(ran.code, 0, ran.stderr);
  return (await shop.builder.nixmaker(['fleet', '-d', fleet])).stdout;
};

test('what root has rolled back is told as rolled back, and what root has never seen as the agent’s word', async () => {
  assert.equal((await take(target, 'switch', await release('one', 1))).state, 'committed');
  const ill = await install(await release('ill', 330, '[ "${1:-}" != switch ] || exit 2'));
  assert.deepEqual([ill.state, ill.sequence], ['rolled-back', 331]);
  await endVisit([
    claim({ transaction: ill.transaction, sequence: 331 }),
    claim({ sequence: 332, detail: 'all is\u001b[2Jwell' }),
  ]);
  const all = await receipts();
  assert.deepEqual([...all.keys()].sort(), ['2.json', '331.json'], 'no claim has a receipt of its own');
  const newest = all.get('331.json') as HostReceipt;
  assert.deepEqual([newest.run?.transaction, newest.run?.state], [ill.transaction, 'rolled-back']);
  assert.deepEqual(
    newest.agentSays?.map(({ sequence, state }) => [sequence, state]),
    [[332, 'committed']],
  );
  assert.equal(all.get('2.json')?.agentSays, undefined, 'it is about the visit, not about this run');
  const text = await readFile(join(folder, '331.txt'), 'utf8');
  assert.match(text, /^ROLLED BACK, the previous system was restored\n/);
  assert.match(
    text,
    /The agent’s report on bundles root has not seen:\n {2}sequence 332: done: all is\\u001b/,
  );
  assert.match(await readFile(told, 'utf8'), /^NIXMAKER_SAYS=agent\nNIXMAKER_SEQUENCE=332$/m);

  const table = await collect();
  assert.match(table, /^web .* 2 +rolled back \(activation-failed\); its agent reports: done /m);
  const page = join(shop.folder, 'page.html');
  await shop.builder.nixmaker(['fleet', '-d', fleet, '--html', page]);
  const html = await readFile(page, 'utf8');
  assert.match(html, /<title>Fleet: 1 host, 1 needs attention/);
  assert.match(html, /Reported by its agent, unverified by root/);
});

test('what the agent alone has refused calls for somebody at the desk, beside root’s last word', async () => {
  const two = await install(await release('two', 400));
  assert.equal(two.state, 'committed');
  await endVisit([claim({ transaction: two.transaction, state: 'rolled-back' })]);
  assert.match(
    await readFile(told, 'utf8'),
    /^NIXMAKER_SAYS=root\nNIXMAKER_SEQUENCE=401\n(?:NIXMAKER_SERVERS=.*\n)?NIXMAKER_STATE=committed$/m,
  );
  assert.match(await collect(), /^web .* 401 +done {2,}/m);
  await endVisit([claim({ state: 'refused', code: 'signature-invalid', source: 'x.tar' })]);
  const last = (await receipts()).get('401.json');
  assert.deepEqual(
    [last?.run?.state, last?.agentSays?.map((c) => c.code)],
    ['committed', ['signature-invalid']],
  );
  assert.match(await collect(), /^web .* 401 +done; its agent reports: refused \(signature-invalid\)/m);
});

test('a machine whose root has activated nothing says so, whatever its agent says', async () => {
  const fresh = await makeTarget(join(shop.folder, 'fresh'), {
    host: 'web',
    trustedKeys: [shop.keys.publicKey],
    policy: { media: { folders: [carried] } },
  });
  after(() => fresh.close());
  const runtime = join(fresh.root, 'runtime');
  await mkdir(join(runtime, visitRequests.folder), { recursive: true });
  await writeRequest(runtime, visitRequests, {
    schema: 1,
    transaction: 'a'.repeat(12),
    place: carried,
    findings: [],
    runs: [claim({ sequence: 7 })],
  });
  assert.equal((await fresh.verb('write-receipts')).code, 0);
  const first = (await receipts()).get('0.json');
  assert.deepEqual([first?.run, first?.agentSays?.[0]?.sequence], [undefined, 7]);
});
