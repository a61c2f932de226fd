/**
 * node bench/compare.ts [ROUNDS [PATHS…]]: what it takes to compare every valid path of a release with what was signed, as agent and root
 * do before an activation, beside Nix’s own `nix path-info --all --json`, which asks the same daemon for the same data. Paths exist in
 * Nix’s database only.
 */
import { createHash } from 'node:crypto';
import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeNix32 } from '../src/core/nix32.ts';
import { ReleaseIndex } from '../src/core/release/index-file.ts';
import { encodeIndex, type IndexedPath } from '../src/core/release/write-index.ts';
import type { StorePath } from '../src/core/store-path.ts';
import { generateKeyPair } from '../src/signing/nix-key.ts';
import { comparePaths, requireNoDifference } from '../src/target/machine/valid-paths.ts';
import { makeStoreSigner } from '../src/target/root/store-key.ts';
import { makeTarget } from '../test/machines/sandboxed-target.ts';
import { median, must, seconds } from './system.ts';
import { removeFolder } from './target.ts';

const hash = (text: string) => createHash('sha256').update(text).digest();
const pathOf = (n: number) =>
  `/nix/store/${encodeNix32(hash(`path ${n}`).subarray(0, 20))}-package-${n}` as StorePath;

/** Each refers to up to five of its hundred; the last to all. */
function closureOf(count: number): IndexedPath[] {
  return Array.from({ length: count }, (_, n) => {
    const first = n === count - 1 ? 0 : Math.max(n - (n % 100), n - 5);
    const references = Array.from({ length: n - first }, (_, i) => pathOf(first + i));
    return {
      path: pathOf(n),
      narHash: encodeNix32(hash(`nar ${n}`)),
      narSize: 400_000 + n,
      files: 9,
      blocks: 99,
      references,
      ca: '',
    };
  });
}

/** The form `nix-store --load-db` reads. */
const registration = (closure: readonly IndexedPath[]) =>
  closure
    .map(({ path, narSize, references }, n) =>
      [path, hash(`nar ${n}`).toString('hex'), narSize, '', references.length, ...references].join('\n'),
    )
    .join('\n');

async function measure(place: string, count: number, rounds: number): Promise<void> {
  const root = join(place, String(count));
  const target = await makeTarget(root, { host: 'host', trustedKeys: [generateKeyPair('bench-1').public] });
  try {
    const closure = closureOf(count);
    must(await target.run(['nix-store', '--load-db'], { input: `${registration(closure)}\n` }));
    const written = encodeIndex(closure, pathOf(count - 1));
    const index = ReleaseIndex.parse(Buffer.from(written.text), pathOf(count - 1));
    const run = () => Promise.reject(new Error('all goes through the daemon'));
    const nix = { run, daemonSocket: join(root, 'nix/var/nix/daemon-socket/socket') };
    const policy = { host: 'host' };
    const machine = {
      nix,
      floorDirectory: target.stateDirectory,
      policy,
      randomHex: () => '00000000',
    } as never;
    const nothingElse = { wanted: () => () => false, counts: () => false };
    const compared = async () => requireNoDifference(await comparePaths({ nix }, index, nothingElse), index);
    const signed = async () => {
      const signer = await makeStoreSigner(machine);
      requireNoDifference(await comparePaths({ nix }, index, signer), index);
      await signer.sign();
    };
    const asked = async () =>
      must(await target.run(['nix', 'path-info', '--store', 'daemon', '--all', '--json']));
    const [ours, nixs]: [number[], number[]] = [[], []];
    for (let round = 0; round < rounds; round++) {
      ours.push(await seconds(compared));
      nixs.push(await seconds(asked));
    }
    const [own, its] = [median(ours), median(nixs)];
    const ratio = (own / its).toFixed(2);
    process.stdout.write(
      `${count} paths: compared ${own.toFixed(2)} s; nix path-info ${its.toFixed(2)} s; ${ratio} of it\n`,
    );
    const [first, again] = [await seconds(signed), await seconds(signed)];
    process.stdout.write(
      `  with signing, the first time ${first.toFixed(2)} s, later ${again.toFixed(2)} s\n`,
    );
  } finally {
    await target.close();
    await removeFolder(root);
  }
}

const rounds = Number(process.argv[2] ?? 5);
const place = await mkdtemp(join(tmpdir(), 'nixmaker-compare-'));
try {
  process.stdout.write(`load ${(await readFile('/proc/loadavg', 'utf8')).split(' ')[0]}\n`);
  const counts = process.argv.slice(3).map(Number);
  for (const count of counts.length > 0 ? counts : [2500, 20_000]) await measure(place, count, rounds);
} finally {
  await removeFolder(place);
}
