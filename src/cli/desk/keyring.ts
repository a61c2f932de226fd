import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { exitCodes } from '../../core/errors.ts';
import { lines } from '../../core/lines.ts';
import { addTargetOptions, type TargetOptions } from '../target/options.ts';
import { print, printJson, printToStderr, runsAt, runVerb } from '../terminal/output.ts';
import { addSignerOptions, type SignerOptions, signEach } from './signer-options.ts';

export function defineKeyring(program: Command): void {
  const group = program
    .command('keyring')
    .summary('change which keys machines trust')
    .description('change the keys machines trust, with a signed file that travels like a bundle');
  group
    .command('make')
    .description(
      'create from JSON with schema, version, hosts, trustedKeys, threshold, roles and minimumSequence; sign it next',
    )
    .argument('<json-file>')
    .argument('<keyring-file>', 'must end with .keyring')
    .action((from: string, to: string) => runVerb(() => make(from, to)));
  addSignerOptions(
    group
      .command('sign')
      .description('add a signature: enough keys of the previous version must sign, and enough of its own')
      .argument('<keyring-file...>'),
  ).action((files: string[], options: SignerOptions) => runVerb(() => sign(files, options)));
  group
    .command('show')
    .description('show what a keyring says about itself; verifies nothing')
    .argument('<keyring-file>')
    .option('--json', 'print JSON')
    .action((file: string, options: { json?: boolean }) => runVerb(() => show(file, options), options));
  addTargetOptions(
    group
      .command('accept')
      .description('at a machine, as root: verify a keyring and trust its keys from now on')
      .argument('<keyring-file>'),
  ).action((file: string, options: TargetOptions) => {
    runsAt('machine');
    return runVerb(() => accept(file, options), options);
  });
}

async function make(from: string, to: string): Promise<number> {
  const { makeKeyringFile } = await import('../../desk/keys/keyring.ts');
  const { version, hosts } = await makeKeyringFile(from, to);
  printToStderr(lines`${to}: version ${version} for ${hosts.join(', ')}, not signed yet\n`);
  return exitCodes.done;
}

async function sign(files: readonly string[], options: SignerOptions): Promise<number> {
  const { signKeyringFile } = await import('../../desk/keys/keyring.ts');
  await signEach(files, options, signKeyringFile);
  return exitCodes.done;
}

async function show(file: string, { json }: { json?: boolean }): Promise<number> {
  const { inspectKeyringFile } = await import('../../desk/keys/keyring.ts');
  const { explainTrust } = await import('../../core/policy/explain.ts');
  const { keyring, claimedSigners } = await inspectKeyringFile(file);
  if (json === true) printJson({ ...keyring, schema: 1, verified: false, claimedSigners });
  else {
    print(lines`Keyring version ${keyring.version} for ${keyring.hosts.join(', ')}.\n`);
    for (const sentence of explainTrust(keyring)) print(lines`${sentence}\n`);
    if (keyring.minimumSequence !== undefined)
      print(lines`Sequences below ${keyring.minimumSequence} are refused.\n`);
    print(lines`Signed by ${claimedSigners.join(', ') || 'nobody'}; not verified.\n`);
  }
  return exitCodes.done;
}

async function accept(file: string, options: TargetOptions): Promise<number> {
  const { openAsRoot } = await import('../target/open.ts');
  const { acceptByHand } = await import('../../target/root/keyring.ts');
  const { makeConsoleLog } = await import('../../report/console-log.ts');
  const machine = await openAsRoot(
    options,
    makeConsoleLog(printToStderr, { verbose: options.verbose === true }),
    'accept a keyring',
  );
  const version = await acceptByHand(machine, await readFile(file, 'utf8'));
  if (options.json === true) printJson({ schema: 1, ok: true, version });
  else print(lines`This machine now trusts the keys of keyring version ${version}.\n`);
  return exitCodes.done;
}
