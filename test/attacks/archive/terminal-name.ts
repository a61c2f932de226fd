import { type Attack, unchanged, withHeader } from '../../support/forge.ts';

export default {
  threat: 'a name that repaints a terminal',
  refusedAs: ['bundle-malformed'],
  because: /the header of nar\/.* does not match the manifest/,
  control: unchanged,
  make: (kit) => withHeader(kit, { name: '\u001b[2J\u001b[1;1Hcommitted' }),
} satisfies Attack;
