import { type Attack, assemble, type Kit, resigned, takeBytesApart } from '../../support/forge.ts';

/** A signed manifest whose signature has a letter that the two alphabets spell differently. */
function spelled(kit: Kit, spell: (signature: string) => string): Buffer {
  for (let attempt = 0; ; attempt++) {
    const apart = takeBytesApart(resigned(kit, { notes: `attempt ${attempt}` }));
    const signature = apart.signatureBytes.toString();
    if (/[+/]/.test(signature)) return assemble({ ...apart, signatureBytes: Buffer.from(spell(signature)) });
  }
}

export default {
  threat: 'base64 in another alphabet',
  refusedAs: ['signature-malformed'],
  because: /line 1 of manifest\.sig is not keyname:base64/,
  control: (kit) => spelled(kit, (signature) => signature),
  make: (kit) => spelled(kit, (signature) => signature.replaceAll('+', '-').replaceAll('/', '_')),
} satisfies Attack;
