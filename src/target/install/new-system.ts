/** What a release says about the machine it will be, read before anything of it is imported. */
import { wantedMounts } from '../../activation/boot-mounted.ts';
import type { ReleaseTree, TreeNode } from '../../bundle/tree.ts';
import { NixmakerError } from '../../core/errors.ts';
import { type Policy, policyParser } from '../../core/policy/policy.ts';
import { defaultSettingsFile, type Settings, settingsParser } from '../../core/policy/settings.ts';
import type { StorePath } from '../../core/store-path.ts';
import { parseConfig } from '../../state/config.ts';

type File = Extract<TreeNode, { kind: 'file' }>;

export interface NewSystem {
  readonly toplevel: StorePath;
  readonly policy: Policy;
  readonly settings: Settings;
  /** Mount points of its fstab(5). */
  readonly mounts: readonly string[];
  /** What a boot loader copies; empty if it says nothing about it. */
  readonly bootFiles: readonly { readonly part: 'kernel' | 'initrd'; readonly file: File }[];
  /** SSH host keys that its sshd uses, as files of the new system. */
  readonly sshHostKeys: readonly string[];
}

/**
 * @throws NixmakerError `not-a-system`; `not-installable` if it has no nixmaker to take the next release; `policy-malformed`,
 * `settings-malformed`; and what reading the release throws
 */
export async function readNewSystem(tree: ReleaseTree, toplevel: StorePath): Promise<NewSystem> {
  for (const needed of ['nixos-version', 'bin/switch-to-configuration'])
    if ((await tree.lookUp(`${toplevel}/${needed}`))?.kind !== 'file')
      throw new NixmakerError('not-a-system', `${toplevel} has no ${needed}`);
  const settings = await readSettings(tree, toplevel);
  const policyText = await tree.text(`${toplevel}${settings.policyFile}`);
  if (policyText === undefined)
    throw new NixmakerError(
      'not-installable',
      `the system has no ${settings.policyFile}: installed, it would never take another release`,
    );
  const sshd = await tree.text(`${toplevel}/etc/ssh/sshd_config`);
  return {
    toplevel,
    policy: parseConfig(policyText, {
      path: settings.policyFile,
      schema: policyParser,
      code: 'policy-malformed',
    }),
    settings,
    mounts: wantedMounts((await tree.text(`${toplevel}/etc/fstab`)) ?? ''),
    bootFiles: await bootFilesOf(tree, toplevel),
    sshHostKeys: sshd === undefined ? [] : hostKeysOf(sshd),
  };
}

async function readSettings(tree: ReleaseTree, toplevel: StorePath): Promise<Settings> {
  const text = await tree.text(`${toplevel}${defaultSettingsFile}`);
  if (text === undefined) return settingsParser.parse({});
  return parseConfig(text, { path: defaultSettingsFile, schema: settingsParser, code: 'settings-malformed' });
}

async function bootFilesOf(tree: ReleaseTree, toplevel: StorePath): Promise<NewSystem['bootFiles']> {
  const found = [];
  for (const part of ['kernel', 'initrd'] as const) {
    const file = await tree.lookUp(`${toplevel}/${part}`);
    if (file?.kind === 'file') found.push({ part, file });
  }
  return found;
}

/** sshd_config(5), as NixOS writes it: a line for each key. */
export const hostKeysOf = (config: string): string[] =>
  config.split('\n').flatMap((line) => {
    const [, path] = /^\s*HostKey\s+"?(\/[^"\s]+)"?\s*$/i.exec(line) ?? [];
    return path === undefined ? [] : [path];
  });
