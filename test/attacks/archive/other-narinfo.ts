import { type Attack, assemble, type Part, unchanged, withBytes } from '../../support/forge.ts';

export default {
  threat: 'a narinfo that points a plain binary cache at another file than the agent takes',
  refusedAs: ['bundle-malformed'],
  because: /narinfo does not match the manifest/,
  control: unchanged,
  make: ({ good }) => {
    const { name, bytes } = good.members.find((p) => p.name.endsWith('.narinfo')) as Part;
    const text = bytes.toString().replace(/^NarHash: .*$/m, `NarHash: sha256:${'1'.repeat(52)}`);
    return assemble({ ...good, members: withBytes(good, name, text) });
  },
} satisfies Attack;
