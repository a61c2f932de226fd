import type { Command } from 'commander';
import { exitCodes } from '../../core/errors.ts';
import { printToStderr, runVerb } from '../terminal/output.ts';
import { addSignerOptions, type SignerOptions, signEach } from './signer-options.ts';

export function defineSign(program: Command): void {
  addSignerOptions(
    program.command('sign').description('add a signature to bundles').argument('<bundle...>'),
  ).action((bundles: string[], options: SignerOptions) => runVerb(() => sign(bundles, options)));
}

async function sign(bundles: readonly string[], options: SignerOptions): Promise<number> {
  const { signBundleFile } = await import('../../desk/keys/sign.ts');
  const signer = await signEach(bundles, options, signBundleFile);
  if (signer.kind === 'ssh') printToStderr(`In policies it is trusted as "${signer.publicText}".\n`);
  return exitCodes.done;
}
