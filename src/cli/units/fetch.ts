import { type Command, InvalidArgumentError } from 'commander';
import { catalogue, worstExit } from '../../core/catalogue.ts';
import { exitCodes, NixmakerError } from '../../core/errors.ts';
import { given } from '../../core/given.ts';
import { joined, type Lines, lines } from '../../core/lines.ts';
import type { ServerSettings } from '../../core/policy/servers.ts';
import { sizeText } from '../../core/size.ts';
import type { Fetched } from '../../target/fetch/fetch.ts';
import { addTargetOptions, type TargetOptions } from '../target/options.ts';
import { print, printJson, printToStderr, progressTerminal, runVerb } from '../terminal/output.ts';

interface FetchFlags extends TargetOptions {
  readonly to?: string;
  readonly ca?: string;
  readonly certificate?: string;
  readonly privateKey?: string;
  readonly proxy?: string;
  readonly rate?: number;
}

export function defineFetch(program: Command): void {
  const command = program
    .command('fetch')
    .summary('copy from a server what this machine lacks')
    .description(
      'copy from a web server or an object store what this machine lacks of its newest release, to a folder that the agent searches',
    )
    .argument('[url]', 'where `nixmaker/` is on the server (default: all of the policy’s `sources.servers`)')
    .option('--to <folder>', 'the folder (default: `fetchDirectory` of the settings)')
    .option('--ca <file>', 'with a URL: certificates (PEM) that may have signed the server’s')
    .option('--certificate <file>', 'with a URL: this machine’s certificate (PEM)')
    .option('--private-key <file>', 'with a URL: the key of that certificate (PEM)')
    .option('--proxy <url>', 'with a URL: the proxy (default: HTTP_PROXY, HTTPS_PROXY and NO_PROXY)')
    .option('--rate <bytes>', 'with a URL: the most bytes a second', rateOf);
  addTargetOptions(command).action((url: string | undefined, flags: FetchFlags) =>
    runVerb(() => fetchAll(url, flags), flags),
  );
}

function rateOf(text: string): number {
  if (!/^[0-9]{1,12}$/.test(text) || Number(text) < 4096)
    throw new InvalidArgumentError('Must be a number of bytes, at least 4096.');
  return Number(text);
}

async function fetchAll(url: string | undefined, flags: FetchFlags): Promise<number> {
  const { openMachineHere } = await import('../target/open.ts');
  const { fetchFrom } = await import('../../target/fetch/fetch.ts');
  const { makeByteProgress } = await import('../../report/byte-progress.ts');
  const machine = await openMachineHere(flags, () => undefined);
  const servers = url === undefined ? machine.policy.sources.servers : [await serverOf(url, flags)];
  const progress = makeByteProgress(progressTerminal(flags.json === true), () => performance.now());
  const results: Fetched[] = [];
  const whole = new Set<string>();
  try {
    for (const server of servers) {
      const folder = flags.to ?? machine.settings.fetchDirectory;
      const onProgress = ({ server: name, ...counted }: { server: string; done: number; total: number }) =>
        progress.step({ title: `${name}: fetching`, ...counted });
      results.push(await fetchFrom(machine, { server, folder, env: process.env, whole, onProgress }));
    }
  } finally {
    progress.end();
  }
  const faults = results.flatMap((r) => r.faults);
  if (flags.json === true) printJson({ schema: 1, ok: faults.length === 0, servers: results });
  else if (results.length === 0)
    printToStderr(lines`The policy names no servers (sources.servers), and no URL was given.\n`);
  else for (const result of results) await summarise(result);
  return worstExit([exitCodes.done, ...faults.map(({ code }) => catalogue[code].exit)]);
}

/** @throws NixmakerError `usage` */
async function serverOf(url: string, flags: FetchFlags): Promise<ServerSettings> {
  const { serverSchema } = await import('../../core/policy/servers.ts');
  const { describeIssues } = await import('../../core/schema.ts');
  const { resolve } = await import('node:path');
  const absolute = (file: string | undefined) => (file === undefined ? undefined : resolve(file));
  const parsed = serverSchema.safeParse(
    given({
      url,
      caFile: absolute(flags.ca),
      certificateFile: absolute(flags.certificate),
      keyFile: absolute(flags.privateKey),
      proxy: flags.proxy,
      bytesPerSecond: flags.rate,
    }),
  );
  if (parsed.success) return parsed.data;
  throw new NixmakerError('usage', describeIssues(parsed.error));
}

const statusText = ({ status, sequence, files, bytes }: Fetched): Lines =>
  ({
    fetched: lines`sequence ${sequence ?? 0} is here: ${files} files, ${sizeText(bytes)}`,
    there: lines`sequence ${sequence ?? 0} was here already`,
    nothing: lines`nothing newer than what this machine has`,
    failed: lines`nothing could be fetched`,
  })[status];

async function summarise(result: Fetched): Promise<void> {
  const { server, keyrings, receipts, faults } = result;
  print(joined([lines`${server}: `, statusText(result), lines`\n`]));
  for (const version of keyrings) print(lines`${server}: keyring version ${version} is here\n`);
  if (receipts !== undefined && receipts > 0) print(lines`${server}: ${receipts} receipts sent\n`);
  const { explain } = await import('../../report/tables.ts');
  for (const { code, detail } of faults) printToStderr(explain(code, detail, 'machine'));
}
