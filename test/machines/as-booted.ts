/**
 * as-booted.ts BOOT-ID SETTINGS VERB…: a verb as production composes it, in a boot of that name. A sandbox shares the
 * boot id of the machine it is on.
 */

import { openAsRootToUndo, openMachineHere } from '../../src/cli/target/open.ts';
import { rootFor } from '../../src/cli/target/open-target.ts';
import { operation } from '../../src/core/schema.ts';
import { confirmByHand } from '../../src/target/root/confirm.ts';
import { runOnce } from '../../src/target/service/agent.ts';
import { takeBundle } from '../../src/target/update/take.ts';

const [bootId = '', settingsFile = '', verb = '', argument = ''] = process.argv.slice(2);

async function main(): Promise<void> {
  const receipts: unknown[] = [];
  if (verb === 'confirm') {
    const { machine, problem } = await openAsRootToUndo({ settingsFile }, () => undefined, 'confirm');
    const receipt = await confirmByHand({ ...machine, bootId });
    if (receipt === undefined && problem !== undefined) throw problem;
    process.stdout.write(JSON.stringify([receipt]));
    return;
  }
  const machine = { ...(await openMachineHere({ settingsFile }, () => undefined)), bootId };
  const root = await rootFor(machine);
  if (verb === 'agent') await runOnce(machine, root, (receipt) => receipts.push(receipt));
  else
    receipts.push(
      await takeBundle(machine, root, {
        name: argument,
        source: { format: 'bundle', file: argument },
        operation: operation.parse(verb),
      }),
    );
  process.stdout.write(JSON.stringify(receipts));
}

// In one line: what Node.js prints of a fault has the compiled program in it.
main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
