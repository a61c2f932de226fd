/** The settings file: where things are on this machine (DESIGN §5). All keys are optional. */
import * as z from 'zod';
import { configuredPath } from '../schema.ts';

export const settingsParser = z.strictObject({
  inbox: configuredPath.default('/var/lib/nixmaker/inbox'),
  stateDirectory: configuredPath.default('/var/lib/nixmaker/state'),
  /** Root's own state if privileges are separated: floor, journal and receipts of activations. */
  activationDirectory: configuredPath.default('/var/lib/nixmaker/activation'),
  runtimeDirectory: configuredPath.default('/run/nixmaker'),
  policyFile: configuredPath.default('/etc/nixmaker/policy.json'),
  profile: configuredPath.default('/nix/var/nix/profiles/system'),
  /** A Nix store URI. `daemon` makes nixmaker a client like any other, whoever runs it. */
  store: z.string().min(1).max(4096).default('daemon'),
  currentSystem: configuredPath.default('/run/current-system'),
  bootedSystem: configuredPath.default('/run/booted-system'),
  /** Programs the agent runs after each run. */
  hooksDirectory: configuredPath.default('/etc/nixmaker/hooks.d'),
  /** A file for node_exporter's textfile collector (its name must end in `.prom`), written after every look. */
  metricsFile: configuredPath.optional(),
  /** Secret keys, as written by `age-keygen`, that decrypt bundles; if unset, `age.identity` in the state folder. */
  identityFile: configuredPath.optional(),
  /** Where `nixmaker fetch` puts what it copies from servers; searched like a carrier’s folder if the policy names any. */
  fetchDirectory: configuredPath.default('/var/lib/nixmaker/fetched'),
  /** The public half of this machine’s Ed25519 SSH host key, for receipts; it need not exist. */
  sshHostKey: configuredPath.default('/etc/ssh/ssh_host_ed25519_key.pub'),
  /** Where the boot loader keeps kernels. */
  bootDirectory: configuredPath.default('/boot'),
  activation: z.enum(['systemd', 'direct']).default('systemd'),
  media: z
    .strictObject({
      /** Folders at or below which others mount media. */
      roots: z.array(configuredPath).default([]),
      /** Where nixmaker mounts them itself, if the policy says so; nixmaker-medium@.service knows it too. */
      directory: configuredPath.default('/run/media/nixmaker'),
      /** Where it mounts them to write a receipt; visible to nobody else. */
      writeDirectory: configuredPath.default('/run/nixmaker-receipts'),
      /** Seconds a medium may take to answer one read before it counts as stalled. */
      patience: z.number().min(0.1).max(3600).default(60),
    })
    .default({
      roots: [],
      directory: '/run/media/nixmaker',
      writeDirectory: '/run/nixmaker-receipts',
      patience: 60,
    }),
  /** Seconds a switch may take before it counts as hung and is rolled back. */
  switchDeadline: z.number().min(1).max(86_400).default(1800),
  /** Seconds for making room; a collection that takes longer is ended, and what it has freed stays free. */
  collectDeadline: z.number().min(1).max(86_400).default(600),
  /** Seconds an incomplete file in the inbox may go without growing before it counts as truncated. */
  inboxPatience: z.number().min(0).max(86_400).default(600),
  /** Seconds a bad file must have been at rest before it is refused rather than looked at again. */
  inboxRest: z.number().min(0).max(3600).default(1),
});

export type Settings = z.infer<typeof settingsParser>;
export const defaultSettingsFile = '/etc/nixmaker/settings.json';

/**
 * What this process is. `agent`: without privileges; it asks root (root.ts). `root`: root beside such an agent, with a journal
 * where nobody else can write. `direct`: both in one process, in a sandbox or on a machine without systemd.
 */
export type Role = 'agent' | 'root' | 'direct';

export function roleOf({ activation }: Pick<Settings, 'activation'>, uid: number): Role {
  if (activation === 'direct') return 'direct';
  return uid === 0 ? 'root' : 'agent';
}
