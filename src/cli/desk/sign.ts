import type { Command } from 'commander';
import { exitCodes, NixmakerError } from '../../core/errors.ts';
import { joined, lines } from '../../core/lines.ts';
import type { ShownManifest } from '../../desk/keys/sign.ts';
import { printToStderr, runVerb, severalTimes } from '../terminal/output.ts';
import { addSignerOptions, type SignerOptions, signEach } from './signer-options.ts';

interface SignOptions extends SignerOptions {
  readonly manifest: readonly string[];
  readonly signatures: readonly string[];
}

export function defineSign(program: Command): void {
  addSignerOptions(program.command('sign').description('add a signature to bundles').argument('[bundle...]'))
    .option(
      '--manifest <file>',
      'sign a manifest.json on its own, into manifest.sig beside it; repeatable',
      severalTimes,
      [],
    )
    .option(
      '--signatures <file>',
      'no key: add signatures others made this way, from their manifest.sig; repeatable',
      severalTimes,
      [],
    )
    .action((bundles: string[], options: SignOptions) => runVerb(() => sign(bundles, options)));
}

async function sign(bundles: readonly string[], options: SignOptions): Promise<number> {
  const { manifest: manifests, signatures } = options;
  if (signatures.length > 0) return addSignatures(bundles, options);
  if (bundles.length + manifests.length === 0)
    throw new NixmakerError('usage', 'name bundles, or manifests with --manifest');
  const { signBundleFile, signManifestFile } = await import('../../desk/keys/sign.ts');
  const { fields, manifestRows } = await import('../../report/tables.ts');
  const show = ({ manifest, digest, claimedSigners }: ShownManifest) => {
    const others = claimedSigners.length === 0 ? undefined : `${claimedSigners.join(', ')}; not verified`;
    const more = fields([...manifestRows(manifest), ['Digest', digest], ['Beside it', others]]);
    const advice = lines`The index was not checked: compare the digest with whoever built it.\n`;
    printToStderr(joined([more, advice]));
  };
  const signer = await signEach([...bundles, ...manifests], options, (file, by) =>
    manifests.includes(file) ? signManifestFile(file, by, show) : signBundleFile(file, by),
  );
  if (signer.kind === 'ssh') printToStderr(lines`Policies trust it as "${signer.publicText}".\n`);
  return exitCodes.done;
}

async function addSignatures(
  [bundle, ...others]: readonly string[],
  { manifest, signatures, key, signWith, sshKey }: SignOptions,
): Promise<number> {
  if (
    bundle === undefined ||
    others.length + manifest.length > 0 ||
    (key ?? signWith ?? sshKey) !== undefined
  )
    throw new NixmakerError('usage', '--signatures takes one bundle and no key');
  const { addSignatureFiles } = await import('../../desk/keys/sign.ts');
  const added = await addSignatureFiles(bundle, signatures);
  const told = added.length === 0 ? 'already signed by all of them' : `also signed by ${added.join(', ')}`;
  printToStderr(lines`${bundle}: ${told}; not verified\n`);
  return exitCodes.done;
}
