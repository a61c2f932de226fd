import { type Command, InvalidArgumentError } from 'commander';

/** Shared by the verbs of the target. */
export interface TargetOptions {
  readonly settingsFile?: string;
  readonly policyFile?: string;
  readonly json?: boolean;
  readonly verbose?: boolean;
}

export function addTargetOptions(command: Command): Command {
  return command
    .option('--settings <file>', 'settings file (default: /etc/nixmaker/settings.json, which is optional)')
    .option('--policy <file>', 'policy file (default: the one named in the settings)')
    .option('--json', 'print JSON')
    .option('-v, --verbose', 'show more')
    .hook('preAction', (_program, action) => {
      const { settings, policy } = action.opts<{ settings?: string; policy?: string }>();
      if (settings !== undefined) action.setOptionValue('settingsFile', settings);
      if (policy !== undefined) action.setOptionValue('policyFile', policy);
    });
}

/** An argument that is a release's sequence. */
export function sequenceNumber(text: string): number {
  if (!/^[1-9][0-9]{0,14}$/.test(text)) throw new InvalidArgumentError('Must be a sequence number.');
  return Number(text);
}
