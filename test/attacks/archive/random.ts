import { type Attack, unchanged } from '../../support/forge.ts';

export default {
  threat: 'meaningless bytes',
  refusedAs: ['not-a-bundle'],
  because: /it does not begin with a manifest/,
  control: unchanged,
  make: () => Buffer.from('9e3779b97f4a7c15'.repeat(1000), 'hex'),
} satisfies Attack;
