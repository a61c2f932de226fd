import type { Command } from 'commander';
import { exitCodes } from '../../core/errors.ts';
import { faultOf } from '../../core/fault.ts';
import type { Consent } from '../../core/install/consent.ts';
import { joined, type Lines, lines } from '../../core/lines.ts';
import { styled } from '../../core/style.ts';
import { explain } from '../../report/tables.ts';
import type { InstallResult } from '../../target/install/install.ts';
import type { Person } from '../../target/install/installer.ts';
import { countOf, startAsInstaller, type TrustFlags, tellInstalled, trustIn } from '../target/install.ts';
import { print, printToStderr, runVerb, severalTimes } from '../terminal/output.ts';

interface InstallerFlags extends TrustFlags {
  readonly root: string;
  readonly host?: string;
  readonly identity?: string;
  readonly format?: boolean;
  readonly folder: readonly string[];
  readonly label: readonly string[];
}

/** What the unit of nixosModules.installer runs on a live image’s console; people have `install`. */
export function defineInstaller(program: Command): void {
  program
    .command('installer', { hidden: true })
    .description('wait for a medium, show what it would install, and install it after Enter')
    .requiredOption('--root <folder>', 'where the new system’s file systems are mounted')
    .option('--host <host>', 'which host this machine is to be')
    .option('--key <key>', 'key that must have signed; repeatable', severalTimes, [])
    .option('--threshold <number>', 'how many of the keys must have signed', countOf, 1)
    .option('--keyring <file>', 'instead of keys: a keyring')
    .option('--identity <file>', 'secret age keys')
    .option('--format', 'run the release’s disk script')
    .option('--folder <folder>', 'searched besides media; repeatable', severalTimes, [])
    .option('--label <label>', 'only media with this label; repeatable', severalTimes, [])
    .action((flags: InstallerFlags) => runVerb(() => installer(flags)));
}

async function installer(flags: InstallerFlags): Promise<number> {
  startAsInstaller();
  const { runInstaller } = await import('../../target/install/installer.ts');
  const { makeConsoleLog } = await import('../../report/console-log.ts');
  const { systemClock } = await import('../../process/clock.ts');
  const { runProgram } = await import('../../process/run.ts');
  const { root, host, identity, folder, label, format = false } = flags;
  const emit = makeConsoleLog(printToStderr, { verbose: false });
  const { person, close } = await atTheConsole();
  try {
    const { result, stick } = await runInstaller({
      request: { ...(await trustIn(flags)), root, host, identityFile: identity, format, emit },
      ...{ folders: folder, labels: label, directory: '/run/nixmaker-installer' },
      ...{ person, run: runProgram, clock: systemClock },
    });
    tellEnd(result, stick);
    return exitCodes.done;
  } finally {
    close();
  }
}

async function atTheConsole(): Promise<{ readonly person: Person; close(): void }> {
  const { createInterface } = await import('node:readline');
  // From the start: what was typed before a question is no answer to it.
  const typed = createInterface({ input: process.stdin, terminal: false });
  const line = (signal: AbortSignal) =>
    new Promise<string | undefined>((resolve) => {
      const end = (answer?: string) => {
        typed.off('line', end);
        signal.removeEventListener('abort', give);
        resolve(answer);
      };
      const give = () => end();
      typed.once('line', end);
      signal.addEventListener('abort', give);
    });
  const answers = process.stdin.isTTY === true;
  return { person: { ...says, answers, line }, close: () => typed.close() };
}

const says: Omit<Person, 'answers' | 'line'> = {
  waiting: () =>
    print(
      lines`Waiting for a medium with releases. Plug it in, or press Enter to look again at what is there.\n`,
    ),
  looking: (stick) => print(lines`${stick}: checking everything on it for this machine …\n`),
  passedOver: (stick) => print(lines`${stick}: no releases.\n`),
  plan: tellPlan,
  gone: (stick) => print(lines`${stick} was removed. Nothing was written.\n`),
  begins: () => print(lines`Installing. Leave the medium in.\n`),
  failed: (error) => {
    const { code, detail } = faultOf(error);
    printToStderr(joined([styled('bad', lines`nixmaker:`), lines` `, explain(code, detail, 'machine')]));
  },
};

function tellPlan(stick: string, plan: InstallResult, consent: Consent): void {
  const { host, sequence, signedBy, root, overwrites, notices } = plan;
  for (const notice of notices) print(lines`note: ${notice}\n`);
  print(
    lines`${stick} would make this machine ${host}, release ${sequence}, signed by ${signedBy.join(', ')}.\n`,
  );
  if (overwrites === undefined) print(lines`It goes onto what is mounted at ${root}.\n`);
  else {
    const what = overwrites.empty ? 'which is empty' : 'and ALL THAT IS ON IT IS LOST';
    print(styled('bad', lines`It overwrites ${overwrites.disks.join(' and ')}, ${what}.\n`));
  }
  print(question[consent]);
}

const question: Readonly<Record<Consent, Lines>> = {
  none: lines`The signed table says that nobody is asked.\n`,
  key: lines`Press Enter to install it, or remove the medium.\n`,
  names: lines`Type the names of these disks (/dev/…) and press Enter to install it, or remove the medium.\n`,
};

function tellEnd(result: InstallResult, stick: string): void {
  for (const notice of result.notices) print(lines`note: ${notice}\n`);
  const receiptOn = result.receiptOn === undefined ? undefined : stick;
  tellInstalled({ ...result, receiptOn });
  print(lines`All media may be removed. Take the live system’s out too, then restart the machine.\n`);
}
