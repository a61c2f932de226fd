/**
 * Genuine signed requests, put straight into root’s folders by an agent that was taken over and leaves its own look out, on a target
 * whose store has all that they name: so that nothing but root’s own decision can be what stops them.
 */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readJournal } from '../../src/state/journal.ts';
import {
  type ActivationRequestFile,
  activationRequests,
  type RequestKind,
  vouchRequests,
  writeRequest,
} from '../../src/state/requests.ts';
import { readVoucher, type Voucher } from '../../src/state/vouchers.ts';
import { run } from '../machines/program.ts';
import type { Target } from '../machines/sandboxed-target.ts';
import { type Signed, signedParts } from './signed-parts.ts';

export interface RootsAnswer {
  readonly state: string | undefined;
  readonly code: string | undefined;
  readonly detail: string | undefined;
  /** What is in root’s journal of the run, in order. */
  readonly states: readonly string[];
}

/** Makes a whole bundle’s paths valid, as Nix alone would: a stock binary cache, signed by a key that it trusts. */
export async function bringPaths(target: Target, bundle: string): Promise<void> {
  const folder = await mkdtemp(join(target.root, 'cache-'));
  const unpacked = await run('tar', ['--extract', '--file', bundle, '--directory', folder]);
  assert.equal(unpacked.code, 0, unpacked.stderr);
  const [toplevel = ''] = (await readFile(join(folder, 'meta'), 'utf8')).trimEnd().split('\n').slice(-1);
  const copied = await target.run(['nix', 'copy', '--from', `file://${folder}`, '--to', 'daemon', toplevel]);
  assert.equal(copied.code, 0, copied.stderr);
}

let count = 0;
const nextId = () => (++count).toString(16).padStart(12, '0');

/** Puts the request there, and has root’s server go through its folders once. */
async function serve<T extends { readonly transaction: string }>(
  target: Target,
  kind: RequestKind<T>,
  { request, files }: { readonly request: T; readonly files: Signed },
): Promise<void> {
  const runtime = join(target.root, 'runtime');
  await mkdir(join(runtime, kind.folder), { recursive: true });
  await writeRequest(runtime, kind, request, { ...files });
  const served = await target.verb('activate');
  assert.equal(served.code, 0, served.stderr);
  // Going on after a refusal is a fault, although nothing comes of it.
  assert.doesNotMatch(served.stderr, /"event":"fault"/);
  assert.deepEqual(await readdir(join(runtime, kind.folder)), [], 'it was served');
}

/** @param asked fields of the request besides the genuine ones */
export async function askForActivation(
  target: Target,
  bundle: string,
  asked: Partial<ActivationRequestFile> = {},
): Promise<RootsAnswer> {
  const transaction = nextId();
  const request: ActivationRequestFile = { schema: 2, transaction, source: 'asked', ...asked };
  await serve(target, activationRequests, { request, files: await signedParts(bundle) });
  const { records } = await readJournal(target.stateDirectory);
  const own = records.filter((r) => r.transaction === transaction);
  const last = own.at(-1);
  const detail = typeof last?.detail === 'string' ? last.detail : undefined;
  return { state: last?.state, code: last?.code, detail, states: own.map((r) => r.state) };
}

/** Where the target was made with `settings: { activationDirectory }` of its own. */
export async function askForVoucher(target: Target, bundle: string): Promise<Voucher | undefined> {
  const transaction = nextId();
  await serve(target, vouchRequests, {
    request: { schema: 2, transaction },
    files: await signedParts(bundle),
  });
  const { activationDirectory } = JSON.parse(await readFile(target.settingsFile, 'utf8')) as {
    activationDirectory: string;
  };
  return readVoucher(activationDirectory, transaction);
}

/** For all that is asked from now on. */
export async function changePolicy(
  target: Target,
  changes: Record<string, unknown>,
): Promise<() => Promise<void>> {
  const before = await readFile(target.policyFile, 'utf8');
  await writeFile(target.policyFile, JSON.stringify({ ...(JSON.parse(before) as object), ...changes }));
  return () => writeFile(target.policyFile, before);
}
