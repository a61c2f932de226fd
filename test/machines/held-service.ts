/**
 * held-service.ts agent|activate|confirm MAIN [SETTINGS]: a service as production composes it, but for one thing: at the transitions that
 * /run/hold/at names ("agent before imported", one a line), it says so in /run/hold/held and stands still until
 * /run/hold/go is there, or /run/hold/held no more. So that it can be killed, or the machine’s power cut, at a moment
 * that was seen and not guessed.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { openMachineHere } from '../../src/cli/target/open.ts';
import { rootFor } from '../../src/cli/target/open-target.ts';
import { makeLog } from '../../src/report/logger.ts';
import { type Machine, requireRoot } from '../../src/target/machine/machine.ts';
import { confirmAtStart } from '../../src/target/root/confirm.ts';
import { serveAgent } from '../../src/target/root/serve.ts';
import { runAgent } from '../../src/target/service/agent.ts';

const [who = '', commandLine = '', settingsFile] = process.argv.slice(2);
// The health checks run in a process of their own, started by the name of this one.
process.argv[1] = commandLine;
const folder = '/run/hold';

/** Where to stand still: in the file, or, from the start of the machine on, among the kernel’s arguments. */
function wanted(): readonly string[] {
  if (existsSync(`${folder}/at`)) return readFileSync(`${folder}/at`, 'utf8').trim().split('\n');
  const argument = /nixmaker\.hold=(\S+)/.exec(readFileSync('/proc/cmdline', 'utf8'))?.[1] ?? '';
  return argument.replaceAll(',', ' ').split('+');
}

function holdAt(point: string): void {
  if (!wanted().includes(point) || existsSync(`${folder}/held`)) return;
  writeFileSync(`${folder}/held`, point);
  while (existsSync(`${folder}/held`) && !existsSync(`${folder}/go`))
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
}

const emit = makeLog({ level: 'info', journald: true, write: (text) => process.stderr.write(text) });

async function main(): Promise<void> {
  const machine: Machine = {
    ...(await openMachineHere({ settingsFile }, emit)),
    onTransition: (when, state) => holdAt(`${who} ${when} ${state}`),
  };
  if (who === 'agent') {
    const stop = new AbortController();
    process.on('SIGTERM', () => stop.abort());
    await runAgent(machine, await rootFor(machine), stop.signal);
  } else if (who === 'activate') await serveAgent(requireRoot(machine, who));
  else {
    const receipt = await confirmAtStart(requireRoot(machine, who));
    if (receipt?.state === 'rolling-back') process.exitCode = 1;
  }
}

void main();
