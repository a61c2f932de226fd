import { type Command, InvalidArgumentError } from 'commander';
import { exitCodes } from '../../core/errors.ts';
import { lines } from '../../core/lines.ts';
import { printToStderr, runVerb, serviceLog, untilStopped } from '../terminal/output.ts';

interface ServeFlags {
  readonly listen: string;
  readonly port: number;
  readonly receipts: boolean;
  readonly unattended?: boolean;
  readonly verbose?: boolean;
}

/** Not registered with anybody; a machine has few services of its own there. */
const usualPort = 8471;

export function defineServe(program: Command): void {
  program
    .command('serve')
    .summary('serve a medium to machines that run `fetch`')
    .description('serve the pool on a medium to a network, read-only, and take receipts back onto the medium')
    .argument('<medium>', 'where the medium is mounted, or any folder with a pool')
    .option('--listen <address>', 'address to listen at', '::')
    .option('--port <port>', 'TCP port', portOf, usualPort)
    .option('--no-receipts', 'take no receipts')
    .option('--unattended', 'start even if no medium is there yet')
    .option('-v, --verbose', 'show more')
    .action((medium: string, flags: ServeFlags) => runVerb(() => serve(medium, flags)));
}

function portOf(text: string): number {
  if (!/^[0-9]{1,5}$/.test(text) || Number(text) > 65_535)
    throw new InvalidArgumentError('Must be a port number.');
  return Number(text);
}

async function serve(medium: string, flags: ServeFlags): Promise<number> {
  const { listen, port, receipts, unattended = false, verbose } = flags;
  const { serveFolder } = await import('../../gateway/serve.ts');
  const { resolve } = await import('node:path');
  const emit = await serviceLog(verbose);
  const stopped = untilStopped();
  const folder = resolve(medium);
  const listening = await serveFolder({ folder, address: listen, port, receipts, unattended, emit });
  emit({ event: 'serving', folder, address: listen, port: listening.port });
  if (process.stderr.isTTY) printToStderr(lines`Serving ${folder}. Press Ctrl-C to stop, then unmount it.\n`);
  await new Promise<void>((resolve) => {
    if (stopped.aborted) resolve();
    else stopped.addEventListener('abort', () => resolve());
  });
  await listening.close();
  return exitCodes.done;
}
