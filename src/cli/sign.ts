import type { Command } from 'commander';
import { exitCodes } from '../core/errors.ts';
import { runVerb, talk } from './output.ts';

interface SignOptions {
  readonly key: string;
}

export function defineSign(program: Command): void {
  program
    .command('sign')
    .description('add a signature to bundles')
    .argument('<bundle...>')
    .requiredOption('--key <file>', 'secret key to sign with')
    .action((bundles: string[], options: SignOptions) => runVerb(() => sign(bundles, options)));
}

async function sign(bundles: readonly string[], options: SignOptions): Promise<number> {
  const { readSecretKeyFile } = await import('../builder/keys.ts');
  const { signBundleFile } = await import('../builder/sign.ts');
  const key = await readSecretKeyFile(options.key);
  for (const bundle of bundles) {
    await signBundleFile(bundle, key);
    talk(`${bundle}: signed by ${key.name}\n`);
  }
  return exitCodes.done;
}
