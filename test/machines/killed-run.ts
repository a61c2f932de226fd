/**
 * killed-run.ts SETTINGS WHEN STATE BOOT-ID: the agent, once, as production composes it, but for one thing: at the
 * transition named (or, with `looking`, at the first signature that is to be verified) it ends itself with SIGKILL, so that no
 * line of ours runs after it. BOOT-ID stands for the boot it happens in; `this` is the real one.
 */

import { openMachineHere } from '../../src/cli/target/open.ts';
import { rootFor } from '../../src/cli/target/open-target.ts';
import { runOnce } from '../../src/target/service/agent.ts';

const [settingsFile = '', when = '', state = '', bootId = 'this'] = process.argv.slice(2);

async function main(): Promise<void> {
  const opened = await openMachineHere({ settingsFile }, () => undefined);
  const kill = () => process.kill(process.pid, 'SIGKILL');
  const machine: typeof opened = {
    ...opened,
    get trust() {
      if (when === 'looking') kill();
      return opened.trust;
    },
    ...(bootId === 'this' ? {} : { bootId }),
    onTransition: (at, reached) => {
      if (at === when && reached === state) kill();
    },
  };
  await runOnce(machine, await rootFor(machine), () => undefined);
}

void main();
