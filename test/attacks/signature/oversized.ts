import { type Attack, assemble, type Kit } from '../../support/forge.ts';

/** The genuine signature, and so many more by a stranger that it has about that many bytes. */
function ofSize({ good, stranger }: Kit, bytes: number): Buffer {
  const line = Buffer.from(`${stranger.name}:${stranger.sign(good.manifestBytes)}\n`);
  const lines = Array.from({ length: Math.floor(bytes / line.length) }, () => line);
  return assemble({ ...good, signatureBytes: Buffer.concat([good.signatureBytes, ...lines]) });
}

export default {
  threat: 'a file of signatures that fills the memory',
  refusedAs: ['bundle-malformed'],
  because: /manifest\.sig has \d+ bytes; the limit is 65536/,
  control: (kit) => ofSize(kit, 64 * 1024 - 200),
  make: (kit) => ofSize(kit, 65 * 1024),
} satisfies Attack;
