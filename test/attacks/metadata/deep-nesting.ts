import { type Attack, resigned } from '../../support/forge.ts';

export default {
  threat: 'nesting that exhausts the stack',
  refusedAs: ['manifest-malformed'],
  because: /expected object, received array/,
  make: (kit) => resigned(kit, `${'['.repeat(30_000)}${']'.repeat(30_000)}`),
} satisfies Attack;
