import type { Command } from 'commander';
import { exitCodes, NixmakerError } from '../../core/errors.ts';
import { printJson, printPath, runVerb, severalTimes } from '../terminal/output.ts';

interface EncryptOptions {
  readonly to: readonly string[];
  readonly toHost: readonly string[];
  readonly directory: string;
  readonly json?: boolean;
}

export function defineEncrypt(program: Command): void {
  program
    .command('encrypt')
    .summary('encrypt signed bundles for certain hosts')
    .description('encrypt signed bundles so that only certain hosts can read them, as <bundle>.age')
    .argument('<bundle...>')
    .option(
      '--to <recipient>',
      'an age recipient (nixmaker age-key at the host), or a file of them; repeatable',
      severalTimes,
      [],
    )
    .option(
      '--to-host <host>',
      'a host whose collected receipts name its recipient; repeatable',
      severalTimes,
      [],
    )
    .option('-d, --directory <directory>', 'where `nixmaker collect` stores receipts', 'fleet')
    .option('--json', 'print JSON')
    .action((bundles: string[], options: EncryptOptions) =>
      runVerb(() => encrypt(bundles, options), options),
    );
}

async function encrypt(
  bundles: readonly string[],
  { to, toHost, directory, json }: EncryptOptions,
): Promise<number> {
  const { encryptBundleFile, readRecipients } = await import('../../desk/keys/encrypt.ts');
  const { recipientsOfHosts } = await import('../../desk/fleet/host-keys.ts');
  const named = [...(await readRecipients(to)), ...(await recipientsOfHosts(directory, toHost))];
  const recipients = [...new Set(named)];
  if (recipients.length === 0) throw new NixmakerError('usage', 'no recipients given: --to or --to-host');
  const files: string[] = [];
  for (const bundle of bundles) {
    const file = await encryptBundleFile(bundle, recipients);
    files.push(file);
    if (json !== true) printPath(file);
  }
  if (json === true) printJson({ schema: 1, files });
  return exitCodes.done;
}
