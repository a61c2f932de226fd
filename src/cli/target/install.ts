import type { Command } from 'commander';
import { exitCodes, NixmakerError } from '../../core/errors.ts';
import { lines } from '../../core/lines.ts';
import type { InstallResult } from '../../target/install/install.ts';
import { print, printJson, printToStderr, runVerb, severalTimes } from '../terminal/output.ts';
import { withServiceUmask } from './open.ts';

interface InstallFlags extends TrustFlags {
  readonly root: string;
  readonly host?: string;
  readonly hosts?: string;
  readonly identity?: string;
  readonly receipts?: string;
  readonly plainFolder?: boolean;
  readonly format?: boolean;
  readonly disk: readonly string[];
  readonly dryRun?: boolean;
  readonly json?: boolean;
  readonly verbose?: boolean;
}

export function defineInstall(program: Command): void {
  program
    .command('install')
    .summary('install a machine from a bundle or a medium')
    .description(
      'on a live system, as root: make a signed release the first system of a machine; all is checked before anything is written',
    )
    .argument('<bundle|medium>', 'a bundle, or where a medium is mounted')
    .requiredOption('--root <folder>', 'where the new system’s file systems are mounted, such as /mnt')
    .option('--host <host>', 'which host this machine is to be')
    .option('--hosts <file>', 'signed table of hosts (default: the medium’s, if it has one)')
    .option('--key <key>', 'key that must have signed: name:base64, or a file; repeatable', severalTimes, [])
    .option('--threshold <number>', 'how many of the keys must have signed', countOf, 1)
    .option('--keyring <file>', 'instead of keys: a keyring, whose keys the machine trusts from then on')
    .option('--identity <file>', 'secret age keys, for an encrypted bundle')
    .option('--receipts <folder>', 'where the first receipt goes (default: the medium)')
    .option('--plain-folder', 'allow a root folder on the live system’s own file system')
    .option('--format', 'first run the release’s disk script, which overwrites disks and mounts them')
    .option('--disk <device>', 'with --format: a disk that may be overwritten; repeatable', severalTimes, [])
    .option('--dry-run', 'check everything, write nothing')
    .option('--json', 'print JSON')
    .option('-v, --verbose', 'show each step’s details')
    .action((place: string, flags: InstallFlags) => runVerb(() => install(place, flags), flags));
}

export function countOf(text: string): number {
  if (!/^[1-9][0-9]?$/.test(text))
    throw new NixmakerError('usage', `--threshold ${text} is not a small number`);
  return Number(text);
}

/** @throws NixmakerError `usage` */
export function startAsInstaller(): void {
  if (process.getuid?.() !== 0) throw new NixmakerError('usage', 'only root can install a machine');
  withServiceUmask();
}

async function install(place: string, flags: InstallFlags): Promise<number> {
  startAsInstaller();
  const { firstInstall } = await import('../../target/install/install.ts');
  const { makeConsoleLog } = await import('../../report/console-log.ts');
  const { root, host, hosts, identity, receipts } = flags;
  const trusted = await trustIn(flags);
  const result = await firstInstall({
    ...{ ...trusted, place, root, host, hosts, receipts, identityFile: identity },
    plainFolder: flags.plainFolder === true,
    format: flags.format === true,
    disks: flags.format === true ? await disksOf(flags) : [],
    dryRun: flags.dryRun === true,
    emit: makeConsoleLog(printToStderr, { verbose: flags.verbose === true }),
  });
  if (flags.json === true) printJson({ schema: 1, ok: true, ...result });
  else tell(result);
  return exitCodes.done;
}

export interface TrustFlags {
  readonly key: readonly string[];
  readonly threshold: number;
  readonly keyring?: string;
}

export async function trustIn({ key, threshold, keyring: keyringFile }: TrustFlags) {
  const { readPublicKeyArgument } = await import('../../desk/keys/key-files.ts');
  const { trustGiven } = await import('../../target/install/trust.ts');
  const keys = await Promise.all(key.map(readPublicKeyArgument));
  return trustGiven({ keys, threshold, keyringFile }, new Date());
}

/** As options, or typed: whoever types a disk’s name has read it. Off a terminal, nobody is asked. */
async function disksOf({ disk }: InstallFlags): Promise<readonly string[]> {
  if (disk.length > 0 || !process.stdin.isTTY) return disk;
  const { createInterface } = await import('node:readline/promises');
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const typed = await terminal.question('Which disks are to be overwritten (/dev/…)? ');
    return typed.split(/\s+/).filter((name) => name !== '');
  } finally {
    terminal.close();
  }
}

function tell(result: InstallResult): void {
  const { host, sequence, signedBy } = result;
  for (const notice of result.notices) printToStderr(lines`note: ${notice}\n`);
  if (!result.installed) {
    print(lines`would install: ${host} ${sequence}, signed by ${signedBy.join(', ')}\n`);
    const { disks = [], empty } = result.overwrites ?? {};
    for (const disk of disks) print(lines`would overwrite: ${disk}, ${empty === true ? '' : 'not '}empty\n`);
    return;
  }
  tellInstalled(result);
  print(lines`Unmount everything, take the live system’s medium out, and start the machine.\n`);
}

/** What was installed, and what the desk may want to know of it. */
export function tellInstalled(result: InstallResult): void {
  const { host, sequence, root, signedBy, receiptOn, hostKey } = result;
  print(lines`installed in ${root}: ${host} ${sequence}, signed by ${signedBy.join(', ')}\n`);
  print(lines`host key: ${hostKey ?? ''}\n`);
  for (const recipient of result.recipients ?? []) print(lines`age recipient: ${recipient}\n`);
  for (const key of result.sshHostKeys ?? []) print(lines`SSH host key: ${key}\n`);
  if (receiptOn !== undefined)
    print(lines`first receipt: on ${receiptOn}; \`nixmaker collect --enrol\` at the desk\n`);
}
