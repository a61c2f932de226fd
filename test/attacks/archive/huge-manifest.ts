import { type Attack, header, unchanged } from '../../support/forge.ts';

export default {
  threat: 'a manifest that claims to be 8 GiB: memory runs out before a signature is checked',
  refusedAs: ['bundle-malformed'],
  because: /manifest\.json has 8589934591 bytes/,
  control: unchanged,
  make: ({ good }) => Buffer.concat([header('manifest.json', 8 * 2 ** 30 - 1), good.whole.subarray(512)]),
} satisfies Attack;
