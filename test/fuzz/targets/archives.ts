/** Tar headers of ours, and the classic tarball with what lies beside it. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { checkClassicHeaders, readClassicMeta } from '../../../src/bundle/classic.ts';
import { encodeHeader, paddingOf, sizeFromHeader } from '../../../src/bundle/ustar.ts';
import { storePathOf } from '../../support/releases.ts';
import { byteMutation } from '../mutations/bytes.ts';
import { tarMutation } from '../mutations/tar.ts';
import { buffers, scratch, type Target } from './target.ts';

const root = storePathOf(3);

export const archive = (members: readonly (readonly [string, Buffer])[]): Buffer =>
  Buffer.concat([
    ...members.flatMap(([name, bytes]) => [
      encodeHeader(name, bytes.length),
      bytes,
      Buffer.alloc(paddingOf(bytes.length)),
    ]),
    Buffer.alloc(1024),
  ]);

const headers: Target = {
  name: 'tar-headers',
  readers: ['bundle/ustar.ts sizeFromHeader'],
  seeds: () => [
    encodeHeader('manifest.json', 457),
    encodeHeader('manifest.json', 8 ** 11 - 1),
    encodeHeader('index', 8 ** 11),
  ],
  mutate: tarMutation,
  run: (data) => {
    const block = Buffer.alloc(512);
    data.copy(block);
    for (const name of ['manifest.json', 'index']) {
      const size = sizeFromHeader(block, name);
      if (size !== undefined)
        assert.deepEqual(encodeHeader(name, size), block, 'a header with two spellings');
    }
  },
};

const classicMembers = ['nix/', 'nix/store/', 'nix/var/', `${root.slice(1)}/`, `${root.slice(1)}/bin`].map(
  (name) => [name, Buffer.alloc(0)] as const,
);

/** Only folders, files and links that have a place in a store; sha256 of what is extracted is the manifest’s business. */
const classicTarballs: Target = {
  name: 'classic-tarballs',
  readers: ['bundle/classic.ts checkClassicHeaders'],
  seeds: () => [archive(classicMembers)],
  mutate: tarMutation,
  run: async (data) => {
    const file = join(scratch, 'classic.tar.gz');
    writeFileSync(file, gzipSync(data, { level: 1 }));
    await checkClassicHeaders(file);
  },
};

const classicMeta: Target = {
  name: 'classic-meta',
  readers: ['bundle/classic.ts readClassicMeta'],
  seeds: () => buffers(`${storePathOf(1, 'x.drv')}\n${root}\n`),
  mutate: byteMutation(['\n', '/nix/store/', '.drv', '..']),
  run: async (data) => {
    const file = join(scratch, 'meta');
    writeFileSync(file, data);
    const { derivation, toplevel } = await readClassicMeta(file);
    assert.ok(data.toString('utf8').startsWith(`${derivation}\n${toplevel}`));
  },
};

export const archiveTargets: readonly Target[] = [headers, classicTarballs, classicMeta];
