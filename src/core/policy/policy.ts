/** The policy file: what this machine lets a bundle do (docs/policy.md). Written by an operator, read as root's word. */
import { configuredPath, hostName, machineId, operation } from '../schema.ts';
import * as z from '../zod.ts';
import { hooksSchema } from './hooks.ts';
import { serverSchema } from './servers.ts';
import { policyLimits, rolesSchema, trustedKey, unmetRoles } from './trust.ts';
import { windowSchema } from './window.ts';

/** How far a machine may go to get what a `derivation` bundle does not carry. */
export const realiseModes = ['never-build', 'substitute', 'build'] as const;
export type RealiseMode = (typeof realiseModes)[number];

const seconds = (most: number) => z.number().check(z.gte(0), z.lte(most));

/** What must be true of a machine after a switch, or else the previous system is restored. Times in seconds. */
const healthSchema = z.strictObject({
  /** systemd units that must be active. */
  units: z._default(z.array(z.string().check(z.minLength(1), z.maxLength(255))).check(z.maxLength(100)), []),
  /** Programs that must exit with 0: argv, never a shell. */
  commands: z._default(
    z
      .array(z.array(z.string().check(z.maxLength(4096))).check(z.minLength(1), z.maxLength(100)))
      .check(z.maxLength(100)),
    [],
  ),
  /** Addresses that must accept a connection. */
  tcp: z._default(
    z
      .array(
        z.strictObject({
          host: z._default(z.string().check(z.maxLength(255)), '127.0.0.1'),
          port: z.int().check(z.gte(1), z.lte(65535)),
        }),
      )
      .check(z.maxLength(100)),
    [],
  ),
  /** No systemd unit may have failed that had not failed before. */
  noNewFailedUnits: z._default(z.boolean(), true),
  /** systemd has started everything, and no unit has failed (`systemctl is-system-running`). */
  systemRunning: z._default(z.boolean(), false),
  /** Wait before the first look. */
  settle: z._default(seconds(3600), 5),
  /** Time for one check; a check that hangs has failed. */
  timeout: z._default(seconds(3600), 30),
  /** Further tries after a failed one, and the pause between them. */
  retries: z._default(z.int().check(z.gte(0), z.lte(100)), 3),
  interval: z._default(seconds(3600), 5),
});

export type HealthPolicy = z.infer<typeof healthSchema>;

/** How a system is judged after the machine was started into it. Times in seconds. */
const bootSchema = z.strictObject({
  /** Whether a person has to run `nixmaker confirm`, besides the health checks. */
  confirm: z._default(z.enum(['automatic', 'manual']), 'automatic'),
  /** Time for that, counted from when the checks passed. */
  within: z._default(seconds(86_400 * 7), 900),
  /** Time for the machine to start all its units, after which it counts as unhealthy. */
  startTimeout: z._default(seconds(86_400), 600),
});

export type BootPolicy = z.infer<typeof bootSchema>;
const bootDefaults = bootSchema.parse({});

/** When nixmaker may restart the machine by itself. */
const rebootSchema = z.strictObject({
  when: z._default(z.enum(['never', 'when-needed', 'always']), 'never'),
  window: z.optional(windowSchema),
  /** Seconds between the decision and the restart. */
  delay: z._default(seconds(86_400), 60),
});

export type RebootPolicy = z.infer<typeof rebootSchema>;
const rebootDefaults = rebootSchema.parse({});

/** Media that nixmaker mounts by itself, on machines where nobody else does. */
const mediaSchema = z.strictObject({
  mount: z._default(z.boolean(), false),
  fileSystems: z._default(z.array(z.enum(['vfat', 'exfat', 'ext4', 'iso9660'])).check(z.minLength(1)), [
    'vfat',
    'exfat',
    'ext4',
    'iso9660',
  ]),
  /** Only media with one of these labels; any, if the list is empty. */
  labels: z._default(z.array(z.string().check(z.minLength(1), z.maxLength(255))).check(z.maxLength(64)), []),
  /** Folders that a carrier fills (rsync, Syncthing, rclone, a network mount), searched like media. */
  folders: z._default(z.array(configuredPath).check(z.maxLength(64)), []),
});

export type MediaPolicy = z.infer<typeof mediaSchema>;
const mediaDefaults = mediaSchema.parse({});

/**
 * Where the agent takes bundles from at all. This isn’t about trust, because whoever makes a medium can give it any label: it
 * keeps a machine from reading media that are none of its business.
 */
const sourcesSchema = z.strictObject({
  inbox: z._default(z.boolean(), true),
  /** Mounted media, whoever mounted them. */
  media: z._default(z.boolean(), true),
  /** Only media with one of these; any, if a list is empty. */
  labels: z._default(z.array(z.string().check(z.minLength(1), z.maxLength(255))).check(z.maxLength(64)), []),
  uuids: z._default(z.array(z.string().check(z.minLength(1), z.maxLength(255))).check(z.maxLength(64)), []),
  fileSystems: z._default(
    z.array(z.string().check(z.minLength(1), z.maxLength(64))).check(z.maxLength(64)),
    [],
  ),
  /** Only media mounted at or below one of these. */
  roots: z._default(z.array(configuredPath).check(z.maxLength(64)), []),
  /** Servers from which `nixmaker fetch` copies this host’s releases to a folder, searched like a carrier’s. The agent asks none. */
  servers: z._default(z.array(serverSchema).check(z.maxLength(16)), []),
});

export type SourcesPolicy = z.infer<typeof sourcesSchema>;
const sourcesDefaults = sourcesSchema.parse({});

/** What goes back to the desk on the medium that brought a bundle. */
const receiptsSchema = z.strictObject({
  send: z._default(z.boolean(), true),
  /** A program to run when a medium is done with (a lamp, a beep): argv, never a shell. */
  notify: z.optional(z.array(z.string().check(z.maxLength(4096))).check(z.minLength(1), z.maxLength(100))),
});

const receiptsDefaults = receiptsSchema.parse({});

const limitDefaults = policyLimits.parse({});

/** A local approval of each bundle, before the machine is changed: a button, a shift leader, a process that must not be disturbed. */
const approvalSchema = z.strictObject({
  /** Exits with 0 for yes: argv, never a shell. */
  command: z.tuple(
    [z.string().check(z.minLength(1), z.maxLength(4096))],
    z.string().check(z.maxLength(4096)),
  ),
  /** Time for the answer, in seconds; no answer means no. Less than the time the agent waits for root. */
  timeout: z._default(seconds(7200), 3600),
});

/**
 * A good release whose time has not come (a window, an approval): whether it is brought into the store at once and installed from there, so
 * that its medium need not stay.
 */
const stageSchema = z.strictObject({
  allow: z._default(z.boolean(), true),
  /** A release that has waited longer is dropped. */
  days: z._default(z.int().check(z.gte(1), z.lte(3650)), 90),
  /** It is dropped if a newer one finds no room otherwise (`collect`). */
  giveWay: z._default(z.boolean(), false),
});

const stageDefaults = stageSchema.parse({});

const hooksDefaults = hooksSchema.parse({});

/** How many taken or refused bundles stay in the inbox’s folders, newest first; their reports stay with them. */
const retentionSchema = z.strictObject({
  done: z._default(z.int().check(z.gte(0), z.lte(10_000)), 2),
  refused: z._default(z.int().check(z.gte(0), z.lte(10_000)), 10),
  /** Generations of the system profile that are never deleted to make room: the newest ones, including the one about to be installed. */
  generations: z._default(z.int().check(z.gte(2), z.lte(10_000)), 2),
  /** Younger ones are not deleted either, however many there are. Days. */
  generationDays: z._default(z.int().check(z.gte(0), z.lte(36_500)), 0),
});

const retentionDefaults = retentionSchema.parse({});

/**
 * When root deletes old generations and has Nix collect garbage: not at all, if an update finds no room, or also after
 * each commit.
 */
export const collectModes = ['never', 'when-needed', 'after-commit'] as const;
export type CollectMode = (typeof collectModes)[number];

/**
 * What nixmaker does by itself about damaged store paths of this machine’s systems: nothing; reads their contents regularly and tells the desk;
 * or also repairs them from bundles at hand.
 */
export const repairModes = ['never', 'report', 'automatic'] as const;
export type RepairMode = (typeof repairModes)[number];

/**
 * How a machine without a floor is known to have taken nothing yet, rather than to have forgotten. `one-generation`: it has no record
 * of a floor beside its system profile, and only the one generation that an installer makes. `no-record`: it has no such record; others
 * may have switched it before.
 */
export const firstStarts = ['one-generation', 'no-record'] as const;

export type FirstStart = (typeof firstStarts)[number];

const policySchema = z
  .strictObject({
    schema: z.literal(1),
    host: hostName,
    /** Bundles that are bound to a machine must be bound to this one; machine-id(5), if it is not /etc/machine-id. */
    machineId: z.optional(machineId),
    /** What the agent does with an accepted bundle. */
    operation: z.enum(['switch', 'boot']),
    /** What the command line may be asked to do; the agent's own operation is always included. */
    operations: z.optional(z.array(operation).check(z.minLength(1))),
    /** Nix public keys, `name:base64`, alone or with what they are good for. Checked by signing/ when the policy is read. */
    trustedKeys: z.array(trustedKey).check(z.minLength(1), z.maxLength(64)),
    /** How many different trusted keys must have signed. */
    threshold: z._default(z.int().check(z.gte(1), z.lte(64)), 1),
    /** How many of those keys must have each of these roles: a build machine’s key and a person’s, for example. */
    roles: rolesSchema,
    /** The keyring these keys make up; a later one that arrived on a medium counts instead (core/policy/keyring.ts). */
    keyringVersion: z._default(z.int().check(z.gte(0), z.lte(1_000_000)), 0),
    /**
     * Nothing below it is taken, whoever says so. Threat: what a stolen key has signed, on a machine that has taken little or was
     * reinstalled: its floor is low, or missing.
     */
    minimumSequence: z._default(z.int().check(z.gte(0)), 0),
    firstStart: z._default(z.enum(firstStarts), 'one-generation'),
    /** Hours in which the agent may install; a person at the command line may at any time. */
    window: z.optional(windowSchema),
    approval: z.optional(approvalSchema),
    stage: z._default(stageSchema, stageDefaults),
    hooks: z._default(hooksSchema, hooksDefaults),
    limits: z._default(policyLimits, limitDefaults),
    retention: z._default(retentionSchema, retentionDefaults),
    collect: z._default(z.enum(collectModes), 'never'),
    repair: z._default(z.enum(repairModes), 'never'),
    realise: z._default(z.enum(realiseModes), 'never-build'),
    health: z.optional(healthSchema),
    boot: z._default(bootSchema, bootDefaults),
    reboot: z._default(rebootSchema, rebootDefaults),
    media: z._default(mediaSchema, mediaDefaults),
    sources: z._default(sourcesSchema, sourcesDefaults),
    receipts: z._default(receiptsSchema, receiptsDefaults),
  })
  .check(
    z.refine((p) => p.threshold <= p.trustedKeys.length, {
      path: ['threshold'],
      message: 'is greater than the number of trusted keys, so no bundle could ever be accepted',
    }),
    z.superRefine((p, context) => {
      for (const role of unmetRoles(p)) {
        const message = `requires more keys with the role “${role}” than there are, so no bundle could ever be accepted`;
        context.addIssue({ code: 'custom', path: ['roles', role], message });
      }
    }),
  );

export type Policy = z.infer<typeof policySchema>;
export type RetentionPolicy = Policy['retention'];
export const policyParser = policySchema;
