import { type Command, Option } from 'commander';

/** `-f`, `-d` and `-v` as in the original tool, whose commands must run unchanged; `--dir` is short for `--directory`. */
export function addFlakeOptions(command: Command): Command {
  return command
    .option('-f, --flake <flake>', 'the flake, in any form Nix accepts', '.')
    .option('-d, --directory <directory>', 'where bundles are written: DIRECTORY/<host>/<host>.tar', '.')
    .addOption(new Option('--dir <directory>').hideHelp())
    .option('-v, --verbose', 'show Nix’s full output for hosts that fail')
    .option('--json', 'print JSON')
    .hook('preAction', (_program, action) => {
      const { dir } = action.opts<{ dir?: string }>();
      if (dir !== undefined) action.setOptionValue('directory', dir);
    });
}
