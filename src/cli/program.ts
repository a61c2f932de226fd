/** All verbs of the command line. They load what they need when run, so that `--version` and `--help` are quick. */
import { Command } from 'commander';
import type { Side } from '../core/catalogue-desk.ts';
import { defineBuild } from './desk/build.ts';
import { defineCollect } from './desk/collect.ts';
import { defineEncrypt } from './desk/encrypt.ts';
import { defineFleet } from './desk/fleet.ts';
import { defineHosts } from './desk/hosts.ts';
import { defineInspect } from './desk/inspect.ts';
import { defineKeygen } from './desk/keygen.ts';
import { defineKeyring } from './desk/keyring.ts';
import { defineList } from './desk/list.ts';
import { definePack } from './desk/pack.ts';
import { definePut } from './desk/put.ts';
import { defineSbom } from './desk/sbom.ts';
import { defineSign } from './desk/sign.ts';
import { defineVerify } from './desk/verify.ts';
import { defineExplain } from './explain.ts';
import { addHelp, type Group, helpFormat, helpWidth } from './help/help.ts';
import { defineAgeKey } from './target/age-key.ts';
import { defineCheckPolicy } from './target/check-policy.ts';
import { defineDiff } from './target/diff.ts';
import { defineDoctor } from './target/doctor.ts';
import { defineEnterRoot } from './target/enter-root.ts';
import { defineEvents } from './target/events.ts';
import { defineFloor } from './target/floor.ts';
import { defineHistory } from './target/history.ts';
import { defineHold, defineRelease } from './target/hold.ts';
import { defineHostKey } from './target/host-key.ts';
import { defineInstall } from './target/install.ts';
import { defineMetrics } from './target/metrics.ts';
import { defineOperations } from './target/operations.ts';
import { defineRepair } from './target/repair.ts';
import { defineRollback } from './target/rollback.ts';
import { defineStatus } from './target/status.ts';
import { forCommander, runsAt } from './terminal/output.ts';
import { defineActivate } from './units/activate.ts';
import { defineAgent } from './units/agent.ts';
import { defineApprove } from './units/approve.ts';
import { defineAsk } from './units/ask.ts';
import { defineCheckHealth } from './units/check-health.ts';
import { defineCheckStore } from './units/check-store.ts';
import { defineConfirm } from './units/confirm.ts';
import { defineDesktop } from './units/desktop.ts';
import { defineFetch } from './units/fetch.ts';
import { defineInstaller } from './units/installer.ts';
import { defineMountMedium } from './units/mount-medium.ts';
import { defineReboot } from './units/reboot.ts';
import { defineRepairStore } from './units/repair-store.ts';
import { defineServe } from './units/serve.ts';
import { defineStoreKey } from './units/store-key.ts';
import { defineWriteReceipts } from './units/write-receipts.ts';

type Define = (program: Command) => void;

/** In help order; what a person is told to do depends on the side. */
const verbs: readonly (readonly [Group, Side, readonly Define[]])[] = [
  ['Desk', 'desk', [defineList, defineBuild, definePack, defineVerify, defineSbom, defineFleet]],
  ['Stick', 'desk', [definePut, defineInspect, defineCollect, defineHosts, defineServe]],
  [
    'Machine',
    'machine',
    [
      ...[defineAgent, defineOperations, defineRollback, defineConfirm, defineApprove, defineFetch],
      ...[defineStatus, defineHistory, defineEvents, defineDiff, defineDoctor, defineRepair],
      ...[defineExplain, defineCheckPolicy, defineHold],
      ...[defineRelease, defineFloor, defineMetrics, defineInstall],
    ],
  ],
  ['Keys', 'desk', [defineKeygen, defineSign, defineEncrypt, defineKeyring]],
  ['Keys', 'machine', [defineHostKey, defineAgeKey, defineStoreKey]],
];

/** What systemd starts, or another verb; not listed in any help. */
const unitVerbs = [
  ...[defineActivate, defineAsk, defineCheckHealth, defineCheckStore, defineDesktop, defineReboot],
  ...[defineRepairStore, defineMountMedium, defineWriteReceipts, defineEnterRoot, defineInstaller],
];

export function makeProgram(version: string): Command {
  const program = new Command('nixmaker')
    .description('Updates for NixOS machines that nothing can reach over a network.')
    .usage('VERB [options] [arguments]')
    .version(version, '-V, --version', 'show the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand(false)
    .showSuggestionAfterError()
    .configureOutput({ ...forCommander, getOutHelpWidth: helpWidth, getErrHelpWidth: helpWidth })
    .configureHelp(helpFormat)
    .exitOverride();

  for (const [group, side, defines] of verbs) {
    const before = program.commands.length;
    for (const define of defines) define(program);
    for (const verb of program.commands.slice(before)) {
      verb.helpGroup(`${group}:`);
      // Including those below them: `keyring accept` is a machine’s, and is told so where it is defined.
      if (side === 'desk') verb.hook('preAction', () => runsAt('desk'));
    }
  }
  for (const define of unitVerbs) define(program);
  addHelp(program);
  return program;
}
