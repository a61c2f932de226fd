/** Which verbs there are, and where each is defined. None is loaded before it is asked for: a start costs its own verb only. */
import type { Command } from 'commander';
import type { Side } from '../core/catalogue-desk.ts';
import type { Group } from './help/help.ts';

/** Adds verbs to the program. */
export type Define = (program: Command) => void;
export type LoadVerb = () => Promise<Define>;

export interface VerbGroup {
  readonly group: Group;
  /** What a person is told to do depends on it. */
  readonly side: Side;
  /** By name, in help order. */
  readonly verbs: Readonly<Record<string, LoadVerb>>;
}

/** They are defined together. */
const operations: LoadVerb = async () => (await import('./target/operations.ts')).defineOperations;

/** In help order. */
export const verbGroups: readonly VerbGroup[] = [
  {
    group: 'Desk',
    side: 'desk',
    verbs: {
      list: async () => (await import('./desk/list.ts')).defineList,
      build: async () => (await import('./desk/build.ts')).defineBuild,
      pack: async () => (await import('./desk/pack.ts')).definePack,
      verify: async () => (await import('./desk/verify.ts')).defineVerify,
      sbom: async () => (await import('./desk/sbom.ts')).defineSbom,
      fleet: async () => (await import('./desk/fleet.ts')).defineFleet,
    },
  },
  {
    group: 'Stick',
    side: 'desk',
    verbs: {
      put: async () => (await import('./desk/put.ts')).definePut,
      inspect: async () => (await import('./desk/inspect.ts')).defineInspect,
      collect: async () => (await import('./desk/collect.ts')).defineCollect,
      hosts: async () => (await import('./desk/hosts.ts')).defineHosts,
      serve: async () => (await import('./units/serve.ts')).defineServe,
    },
  },
  {
    group: 'Machine',
    side: 'machine',
    verbs: {
      agent: async () => (await import('./units/agent.ts')).defineAgent,
      switch: operations,
      boot: operations,
      test: operations,
      'dry-activate': operations,
      rollback: async () => (await import('./target/rollback.ts')).defineRollback,
      confirm: async () => (await import('./units/confirm.ts')).defineConfirm,
      approve: async () => (await import('./units/approve.ts')).defineApprove,
      fetch: async () => (await import('./units/fetch.ts')).defineFetch,
      status: async () => (await import('./target/status.ts')).defineStatus,
      history: async () => (await import('./target/history.ts')).defineHistory,
      events: async () => (await import('./target/events.ts')).defineEvents,
      diff: async () => (await import('./target/diff.ts')).defineDiff,
      doctor: async () => (await import('./target/doctor.ts')).defineDoctor,
      repair: async () => (await import('./target/repair.ts')).defineRepair,
      explain: async () => (await import('./explain.ts')).defineExplain,
      'check-policy': async () => (await import('./target/check-policy.ts')).defineCheckPolicy,
      hold: async () => (await import('./target/hold.ts')).defineHold,
      release: async () => (await import('./target/hold.ts')).defineRelease,
      floor: async () => (await import('./target/floor.ts')).defineFloor,
      metrics: async () => (await import('./target/metrics.ts')).defineMetrics,
      install: async () => (await import('./target/install.ts')).defineInstall,
    },
  },
  {
    group: 'Keys',
    side: 'desk',
    verbs: {
      keygen: async () => (await import('./desk/keygen.ts')).defineKeygen,
      sign: async () => (await import('./desk/sign.ts')).defineSign,
      encrypt: async () => (await import('./desk/encrypt.ts')).defineEncrypt,
      keyring: async () => (await import('./desk/keyring.ts')).defineKeyring,
    },
  },
  {
    group: 'Keys',
    side: 'machine',
    verbs: {
      'host-key': async () => (await import('./target/host-key.ts')).defineHostKey,
      'age-key': async () => (await import('./target/age-key.ts')).defineAgeKey,
      'store-key': async () => (await import('./units/store-key.ts')).defineStoreKey,
    },
  },
];

/** What systemd starts, or another verb; not listed in any help. */
export const unitVerbs: Readonly<Record<string, LoadVerb>> = {
  activate: async () => (await import('./units/activate.ts')).defineActivate,
  ask: async () => (await import('./units/ask.ts')).defineAsk,
  'check-health': async () => (await import('./units/check-health.ts')).defineCheckHealth,
  'check-store': async () => (await import('./units/check-store.ts')).defineCheckStore,
  desktop: async () => (await import('./units/desktop.ts')).defineDesktop,
  reboot: async () => (await import('./units/reboot.ts')).defineReboot,
  'repair-store': async () => (await import('./units/repair-store.ts')).defineRepairStore,
  'mount-medium': async () => (await import('./units/mount-medium.ts')).defineMountMedium,
  'write-receipts': async () => (await import('./units/write-receipts.ts')).defineWriteReceipts,
  'enter-root': async () => (await import('./target/enter-root.ts')).defineEnterRoot,
  installer: async () => (await import('./units/installer.ts')).defineInstaller,
};
