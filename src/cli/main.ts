#!/usr/bin/env node
/** The command line. Verbs load what they need when they run, so that `--version` and `--help` are quick. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { exitCodes } from '../core/errors.ts';
import { defineActivate } from './activate.ts';
import { defineAgeKey } from './age-key.ts';
import { defineAgent } from './agent.ts';
import { defineBuild } from './build.ts';
import { defineCheckHealth } from './check-health.ts';
import { defineCheckPolicy } from './check-policy.ts';
import { defineCollect } from './collect.ts';
import { defineConfirm } from './confirm.ts';
import { defineEncrypt } from './encrypt.ts';
import { defineFleet } from './fleet.ts';
import { defineFloor } from './floor.ts';
import { defineHistory } from './history.ts';
import { defineHostKey } from './host-key.ts';
import { defineInspect } from './inspect.ts';
import { defineKeygen } from './keygen.ts';
import { defineKeyring } from './keyring.ts';
import { defineList } from './list.ts';
import { defineMountMedium } from './mount-medium.ts';
import { defineOperations } from './operations.ts';
import { definePut } from './put.ts';
import { defineReboot } from './reboot.ts';
import { defineRollback } from './rollback.ts';
import { defineSign } from './sign.ts';
import { defineStatus } from './status.ts';
import { defineStoreKey } from './store-key.ts';
import { defineVerify } from './verify.ts';
import { defineWriteReceipts } from './write-receipts.ts';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

const program = new Command('nixmaker')
  .description('Updates for NixOS machines that nothing can reach over a network.')
  .version(version)
  .showSuggestionAfterError()
  .exitOverride();

for (const define of [
  defineList,
  defineBuild,
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

// `nixmaker list | head` ends our reader first; that is no fault of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(exitCodes.done);
  throw error;
});

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  process.exitCode = error.exitCode === 0 ? exitCodes.done : exitCodes.usage;
}
