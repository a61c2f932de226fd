/**
 * killed-run.ts SETTINGS WHEN STATE BOOT-ID: the agent, once, as production composes it, but for one thing: at the
 * transition named (or, with `looking`, at the first signature that is to be verified; with `starting` and `started` before and after a
 * program is run with that argument; with `telling` at an event of that name) it ends itself with SIGKILL, so that no
 * line of ours runs after it. BOOT-ID stands for the boot it happens in; `this` is the real one.
 */

import { openMachineHere } from '../../src/cli/target/open.ts';
import { rootFor } from '../../src/cli/target/open-target.ts';
import { runOnce } from '../../src/target/service/agent.ts';

const [settingsFile = '', when = '', state = '', bootId = 'this'] = process.argv.slice(2);

async function main(): Promise<void> {
  const kill = () => process.kill(process.pid, 'SIGKILL');
  const opened = await openMachineHere({ settingsFile }, ({ event }) => {
    if (when === 'telling' && event === state) kill();
  });
  const run: typeof opened.run = async (program, args, options) => {
    const isIt = args.includes(state);
    if (when === 'starting' && isIt) kill();
    const result = await opened.run(program, args, options);
    if (when === 'started' && isIt) kill();
    return result;
  };
  const machine: typeof opened = {
    ...opened,
    ...{ run, nix: { ...opened.nix, run } },
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
