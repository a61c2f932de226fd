import type { Command } from 'commander';
import { exitCodes } from '../../core/errors.ts';
import { joined, lines } from '../../core/lines.ts';
import { print, printJson, runVerb } from '../terminal/output.ts';
import { addFlakeOptions } from './flake-options.ts';

interface ListOptions {
  readonly flake: string;
  readonly json?: boolean;
}

export function defineList(program: Command): void {
  const command = program
    .command('list')
    .summary('list a flake’s hosts')
    .description('list the hosts of a flake (names only; nothing is evaluated or built)');
  addFlakeOptions(command).action((options: ListOptions) => runVerb(() => list(options), options));
}

async function list({ flake, json }: ListOptions): Promise<number> {
  const { listFlakeHosts, deskNix } = await import('../../desk/build/build.ts');
  const hosts = await listFlakeHosts(deskNix(), flake);
  if (json === true) printJson({ schema: 1, hosts });
  else print(joined(hosts.map((host) => lines`${host}\n`)));
  return exitCodes.done;
}
