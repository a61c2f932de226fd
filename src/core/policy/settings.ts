/** The settings file: where things are on this machine (DESIGN §5). All keys are optional. */
import { configuredPath } from '../schema.ts';
import * as z from '../zod.ts';

export const settingsParser = z.strictObject({
  inbox: z._default(configuredPath, '/var/lib/nixmaker/inbox'),
  stateDirectory: z._default(configuredPath, '/var/lib/nixmaker/state'),
  /** Root's own state if privileges are separated: floor, journal and receipts of activations. */
  activationDirectory: z._default(configuredPath, '/var/lib/nixmaker/activation'),
  runtimeDirectory: z._default(configuredPath, '/run/nixmaker'),
  policyFile: z._default(configuredPath, '/etc/nixmaker/policy.json'),
  profile: z._default(configuredPath, '/nix/var/nix/profiles/system'),
  /** A Nix store URI. `daemon` makes nixmaker a client like any other, whoever runs it. */
  store: z._default(z.string().check(z.minLength(1), z.maxLength(4096)), 'daemon'),
  currentSystem: z._default(configuredPath, '/run/current-system'),
  bootedSystem: z._default(configuredPath, '/run/booted-system'),
  /** Programs the agent runs after each run. */
  hooksDirectory: z._default(configuredPath, '/etc/nixmaker/hooks.d'),
  /** A file for node_exporter's textfile collector (its name must end in `.prom`), written after every look. */
  metricsFile: z.optional(configuredPath),
  /** Secret keys, as written by `age-keygen`, that decrypt bundles; if unset, `age.identity` in the state folder. */
  identityFile: z.optional(configuredPath),
  /** Where `nixmaker fetch` puts what it copies from servers; searched like a carrier’s folder if the policy names any. */
  fetchDirectory: z._default(configuredPath, '/var/lib/nixmaker/fetched'),
  /** The public half of this machine’s Ed25519 SSH host key, for receipts; it need not exist. */
  sshHostKey: z._default(configuredPath, '/etc/ssh/ssh_host_ed25519_key.pub'),
  /** Where the boot loader keeps kernels. */
  bootDirectory: z._default(configuredPath, '/boot'),
  activation: z._default(z.enum(['systemd', 'direct']), 'systemd'),
  media: z._default(
    z.strictObject({
      /** Folders at or below which others mount media. */
      roots: z._default(z.array(configuredPath), []),
      /** Where nixmaker mounts them itself, if the policy says so; nixmaker-medium@.service knows it too. */
      directory: z._default(configuredPath, '/run/media/nixmaker'),
      /** Where it mounts them to write a receipt; visible to nobody else. */
      writeDirectory: z._default(configuredPath, '/run/nixmaker-receipts'),
      /** Seconds a medium may take to answer one read before it counts as stalled. */
      patience: z._default(z.number().check(z.gte(0.1), z.lte(3600)), 60),
    }),
    {
      roots: [],
      directory: '/run/media/nixmaker',
      writeDirectory: '/run/nixmaker-receipts',
      patience: 60,
    },
  ),
  /** Seconds a switch may take before it counts as hung and is rolled back. */
  switchDeadline: z._default(z.number().check(z.gte(1), z.lte(86_400)), 1800),
  /** Seconds for making room; a collection that takes longer is ended, and what it has freed stays free. */
  collectDeadline: z._default(z.number().check(z.gte(1), z.lte(86_400)), 600),
  /** Seconds an incomplete file in the inbox may go without growing before it counts as truncated. */
  inboxPatience: z._default(z.number().check(z.gte(0), z.lte(86_400)), 600),
  /** Seconds a bad file must have been at rest before it is refused rather than looked at again. */
  inboxRest: z._default(z.number().check(z.gte(0), z.lte(3600)), 1),
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
