/** All verbs of the command line. They load what they need when they run, so that `--version` and `--help` are quick. */
import { Command } from 'commander';
import { defineActivate } from './activate.ts';
import { defineAgeKey } from './age-key.ts';
import { defineAgent } from './agent.ts';
import { defineBuild } from './build.ts';
import { defineCheckHealth } from './check-health.ts';
import { defineCheckPolicy } from './check-policy.ts';
import { defineCollect } from './collect.ts';
import { defineConfirm } from './confirm.ts';
import { defineDiff } from './diff.ts';
import { defineDoctor } from './doctor.ts';
import { defineEncrypt } from './encrypt.ts';
import { defineEvents } from './events.ts';
import { defineExplain } from './explain.ts';
import { defineFleet } from './fleet.ts';
import { defineFloor } from './floor.ts';
import { defineHistory } from './history.ts';
import { defineHostKey } from './host-key.ts';
import { defineInspect } from './inspect.ts';
import { defineKeygen } from './keygen.ts';
import { defineKeyring } from './keyring.ts';
import { defineList } from './list.ts';
import { defineMetrics } from './metrics.ts';
import { defineMountMedium } from './mount-medium.ts';
import { defineOperations } from './operations.ts';
import { definePack } from './pack.ts';
import { definePut } from './put.ts';
import { defineReboot } from './reboot.ts';
import { defineRollback } from './rollback.ts';
import { defineSign } from './sign.ts';
import { defineStatus } from './status.ts';
import { defineStoreKey } from './store-key.ts';
import { defineVerify } from './verify.ts';
import { defineWriteReceipts } from './write-receipts.ts';

export function makeProgram(version: string): Command {
  const program = new Command('nixmaker')
    .description('Updates for NixOS machines that nothing can reach over a network.')
    .version(version)
    .showSuggestionAfterError()
    .exitOverride();

  for (const define of [
    defineList,
    defineBuild,
    definePack,
    defineKeygen,
    defineSign,
    defineEncrypt,
    defineKeyring,
    defineVerify,
    defineInspect,
    definePut,
    defineCollect,
    defineFleet,
  ])
    define(program);
  for (const define of [
    defineAgent,
    defineOperations,
    defineStatus,
    defineHistory,
    defineEvents,
    defineDiff,
    defineDoctor,
    defineMetrics,
    defineExplain,
    defineRollback,
    defineConfirm,
    defineCheckPolicy,
    defineFloor,
    defineActivate,
    defineCheckHealth,
    defineReboot,
    defineMountMedium,
    defineHostKey,
    defineStoreKey,
    defineAgeKey,
    defineWriteReceipts,
  ])
    define(program);
  return program;
}
