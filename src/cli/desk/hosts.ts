import type { Command } from 'commander';
import { exitCodes } from '../../core/errors.ts';
import { lines } from '../../core/lines.ts';
import { print, printJson, printToStderr, runVerb } from '../terminal/output.ts';
import { addSignerOptions, type SignerOptions, signEach } from './signer-options.ts';

export function defineHosts(program: Command): void {
  const group = program
    .command('hosts')
    .summary('say which machine is to be which host')
    .description('tell live systems which machine is to be which host, with a signed table on the medium');
  group
    .command('make')
    .description('create from JSON with schema, createdAt, unattended and hosts; sign it next')
    .argument('<json-file>')
    .argument('<hosts-file>', 'must end with .hosts')
    .action((from: string, to: string) => runVerb(() => make(from, to)));
  addSignerOptions(
    group
      .command('sign')
      .description('add a signature; `put` then copies the table to a medium')
      .argument('<hosts-file...>'),
  ).action((files: string[], options: SignerOptions) => runVerb(() => sign(files, options)));
  group
    .command('show')
    .description('show what a table says; verifies nothing')
    .argument('<hosts-file>')
    .option('--json', 'print JSON')
    .action((file: string, options: { json?: boolean }) => runVerb(() => show(file, options), options));
}

async function make(from: string, to: string): Promise<number> {
  const { makeHostsFile } = await import('../../desk/keys/hosts.ts');
  const { hosts } = await makeHostsFile(from, to);
  printToStderr(lines`${to}: ${hosts.length} machines, not signed yet\n`);
  return exitCodes.done;
}

async function sign(files: readonly string[], options: SignerOptions): Promise<number> {
  const { signHostsFile } = await import('../../desk/keys/hosts.ts');
  await signEach(files, options, signHostsFile);
  return exitCodes.done;
}

async function show(file: string, { json }: { json?: boolean }): Promise<number> {
  const { inspectHostsFile } = await import('../../desk/keys/hosts.ts');
  const { table } = await import('../../report/columns.ts');
  const { table: known, claimedSigners } = await inspectHostsFile(file);
  if (json === true) {
    printJson({ ...known, schema: 1, verified: false, claimedSigners });
    return exitCodes.done;
  }
  const rows = known.hosts.map((h) => [
    ...[h.host, h.serial ?? '', h.mac ?? '', h.machineId ?? '', (h.disks ?? []).join(' ')],
  ]);
  print(table(['HOST', 'SERIAL', 'MAC', 'MACHINE ID', 'DISKS'], rows, {}));
  print(lines`${known.unattended ? 'Installed unattended.' : 'Installed after a key was pressed.'}\n`);
  print(lines`Signed by ${claimedSigners.join(', ') || 'nobody'}; not verified.\n`);
  return exitCodes.done;
}
