import { type Command, InvalidArgumentError } from 'commander';

/** What the verbs of the target have in common. */
export interface TargetOptions {
  readonly settingsFile?: string;
  readonly policyFile?: string;
  readonly json?: boolean;
  readonly verbose?: boolean;
}

export function addTargetOptions(command: Command): Command {
  return command
    .option('--settings <file>', 'settings file (default: /etc/nixmaker/settings.json, which need not exist)')
    .option('--policy <file>', 'policy file (default: the one the settings name)')
    .option('--json', 'print JSON')
    .option('-v, --verbose', 'say more')
    .hook('preAction', (_program, action) => {
      const { settings, policy } = action.opts<{ settings?: string; policy?: string }>();
      if (settings !== undefined) action.setOptionValue('settingsFile', settings);
      if (policy !== undefined) action.setOptionValue('policyFile', policy);
    });
}

/** An argument that is a release's sequence. */
export function sequenceNumber(text: string): number {
  if (!/^[1-9][0-9]{0,14}$/.test(text)) throw new InvalidArgumentError('It must be a sequence number.');
  return Number(text);
}
