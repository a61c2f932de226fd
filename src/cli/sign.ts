import type { Command } from 'commander';
import type { Signer } from '../builder/sign.ts';
import { exitCodes, NixmakerError } from '../core/errors.ts';
import { runVerb, talk } from './output.ts';

interface SignOptions {
  readonly key?: string;
  readonly sshKey?: string;
  readonly name?: string;
}

export function defineSign(program: Command): void {
  program
    .command('sign')
    .description('add a signature to bundles')
    .argument('<bundle...>')
    .option('--key <file>', 'secret key to sign with (nixmaker keygen)')
    .option(
      '--ssh-key <file>',
      'a person’s SSH key instead, also on a FIDO token or in an agent (ssh-keygen)',
    )
    .option('--name <name>', 'for --ssh-key: the name by which policies call it')
    .action((bundles: string[], options: SignOptions) => runVerb(() => sign(bundles, options)));
}

async function sign(bundles: readonly string[], options: SignOptions): Promise<number> {
  const { signBundleFile } = await import('../builder/sign.ts');
  const signer = await signerOf(options);
  for (const bundle of bundles) {
    await signBundleFile(bundle, signer);
    talk(`${bundle}: signed by ${signer.name}\n`);
  }
  if (signer.kind === 'ssh') talk(`In policies it is trusted as "${signer.publicText}".\n`);
  return exitCodes.done;
}

async function signerOf({ key, sshKey, name }: SignOptions): Promise<Signer> {
  if ((key === undefined) === (sshKey === undefined))
    throw new NixmakerError('usage', 'give either --key or --ssh-key');
  if (key !== undefined) {
    const { readSecretKeyFile } = await import('../builder/keys.ts');
    const { signerWith } = await import('../builder/sign.ts');
    return signerWith(await readSecretKeyFile(key));
  }
  if (name === undefined) throw new NixmakerError('usage', '--ssh-key needs --name as well');
  const { makeSshSigner } = await import('../builder/ssh-sign.ts');
  return makeSshSigner({ name, keyFile: sshKey as string, onTalk: (line) => talk(`${line}\n`) });
}
