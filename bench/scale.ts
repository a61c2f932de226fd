/**
 * A thousand hosts on one medium: what `inspect` takes to list them, `put` to add one more that shares its paths with them, and
 * `put --clear` to look for what none of them needs. The floor for a `put`: the same files dropped from the kernel’s cache, read and
 * hashed.
 */
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { manifestDigest } from '../src/signing/verify.ts';
import type { Builder } from '../test/machines/builder.ts';
import { measured } from '../test/support/receipts.ts';
import { must, seconds } from './system.ts';
import { removeFolder } from './target.ts';

export interface ScaleFigures {
  readonly hosts: number;
  readonly manifestBytes: number;
  readonly contentsBytes: number;
  /** Seconds, with a warm cache; and peak MiB. */
  readonly inspect: number;
  readonly inspectMemory: number;
  /** The same files read by `cat`, and a start of Node.js that does nothing. */
  readonly inspectFloor: number;
  /** Seconds, for one more host whose paths the others have, and for the same onto an empty medium. */
  readonly put: number;
  readonly putFirst: number;
  readonly putMemory: number;
  /** Its pieces, read from the medium and hashed. */
  readonly read: number;
  /** Its bundle copied, flushed, read from the medium and hashed. */
  readonly copied: number;
  /** Looking for what nobody needs among all of them. */
  readonly clear: number;
  readonly clearMemory: number;
}

/** Reads the files below a folder from the medium, not from the kernel’s cache. */
const readAll =
  'find "$1" -type f -exec sh -c \'for file do dd "if=$file" iflag=nocache count=0 status=none; done\' sh {} +; find "$1" -type f -exec sha256sum {} + >"$2"';

/** @param bundle its release goes to each of the hosts, under the host’s own name */
export async function measureScale(
  place: string,
  { builder, bundle, hosts }: { builder: Builder; bundle: string; hosts: number },
): Promise<ScaleFigures> {
  const medium = join(place, 'thousand');
  await mkdir(medium);
  const shell = (script: string, ...args: string[]) =>
    seconds(async () => must(await builder.run(['sh', '-euc', script, 'sh', ...args])));
  const sums = join(place, 'sums');
  const putFirst = await seconds(async () => must(await builder.nixmaker(['put', medium, bundle])));
  const copy = join(place, 'copied');
  await mkdir(copy);
  const copied = await shell(`cp "$3" "$1"; sync --file-system "$1"; ${readAll}`, copy, sums, bundle);
  const { manifestBytes, contentsBytes } = await fill(medium, hosts);
  const read = await shell(readAll, join(medium, 'nixmaker/cache'), sums);
  const put = await seconds(async () => must(await builder.nixmaker(['put', medium, bundle])));
  const inspect = await seconds(async () => {
    const listed = must(await builder.nixmaker(['inspect', '--json', medium]));
    const { bundles } = JSON.parse(listed.stdout) as { bundles: { problem?: string }[] };
    if (bundles.length !== hosts + 1 || bundles.some((b) => b.problem !== undefined))
      throw new Error(`it listed ${bundles.length}, ${JSON.stringify(bundles[0])}`);
  });
  const inspectFloor = await shell(
    'find "$1" -name "manifest.*" -exec cat {} + >/dev/null; "$2" -e 0',
    join(medium, 'nixmaker/hosts'),
    process.execPath,
  );
  const clear = await seconds(async () => must(await builder.nixmaker(['put', '--clear', medium])));
  const peak = async (...args: string[]) => {
    const ran = await measured(...args);
    must(ran);
    return ran.mebibytes;
  };
  const figures = {
    hosts,
    manifestBytes,
    contentsBytes,
    inspect,
    inspectFloor,
    inspectMemory: await peak('inspect', '--json', medium),
    put,
    putFirst,
    putMemory: await peak('put', medium, bundle),
    read,
    copied,
    clear,
    clearMemory: await peak('put', '--clear', medium),
  };
  for (const folder of [medium, copy]) await removeFolder(folder);
  await rm(sums);
  return figures;
}

/** Turns the one host that is there into as many others with the same system; the original goes. */
async function fill(medium: string, hosts: number) {
  const one = join(medium, 'nixmaker/hosts/host/1');
  const manifest = await readFile(join(one, 'manifest.json'), 'utf8');
  const contents = await readFile(join(one, 'contents'), 'utf8');
  const pieces = contents.slice(contents.indexOf('\n'));
  for (let i = 0; i < hosts; i++) {
    const folder = join(medium, 'nixmaker/hosts', `h${i}`, '1');
    await mkdir(join(folder, '..'), { recursive: true });
    await cp(one, folder, { recursive: true });
    const own = manifest.replace('"host":"host"', `"host":"h${i}"`);
    await writeFile(join(folder, 'manifest.json'), own);
    await writeFile(join(folder, 'contents'), `"${manifestDigest(Buffer.from(own))}"${pieces}`);
  }
  await rm(join(one, '..'), { recursive: true });
  return { manifestBytes: Buffer.byteLength(manifest), contentsBytes: Buffer.byteLength(contents) };
}
