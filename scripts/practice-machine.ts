/**
 * A machine to practise on, for people without a spare one: the target that the demo and the tests use, with a shell in it.
 * Whatever the shell reads from standard input runs there, so a test can type what a person would.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { delimiter, join, resolve } from 'node:path';
import { main } from '../test/machines/compiled.ts';
import { makeTarget, type Target } from '../test/machines/sandboxed-target.ts';

/** `nixmaker` as on an installed machine, with settings and policy in /etc/nixmaker. */
const wrapper = ({ settingsFile, policyFile }: Target) => `#!/bin/sh
verb=\${1:---help}; [ $# = 0 ] || shift
for word; do
  shift; [ "$word" = /etc/nixmaker/policy.json ] && word='${policyFile}'
  set -- "$@" "$word"
done
case $verb in -*|explain|check-policy|diff|help) ;; *) set -- --settings '${settingsFile}' "$@" ;; esac
exec '${process.execPath}' '${main}' "$verb" "$@"
`;

async function practise(host: string, keyFile: string, stick: string): Promise<number> {
  const root = resolve(`machine-${host}`);
  const trustedKeys = [(await readFile(keyFile, 'utf8')).trim()];
  const target = await makeTarget(root, {
    host,
    trustedKeys,
    policy: { media: { folders: [resolve(stick)] } },
    settings: { activationDirectory: join(root, 'state') },
  });
  try {
    const programs = join(root, 'bin');
    await mkdir(programs, { recursive: true });
    await writeFile(join(programs, 'nixmaker'), wrapper(target));
    await chmod(join(programs, 'nixmaker'), 0o755);
    if (process.stdin.isTTY) process.stdout.write(`This is the machine “${host}”. Leave it with \`exit\`.\n`);
    // Bash gets a history, if there is a bash.
    const shellCommand = 'command -v bash >/dev/null && exec bash --norc --noprofile; exec sh';
    const [program, ...args] = target.command(['sh', '-c', shellCommand]);
    const path = `${programs}${delimiter}${target.env.PATH}`;
    const shell = spawn(program, args, {
      stdio: 'inherit',
      env: { ...process.env, ...target.env, PATH: path, PS1: `${host}$ ` },
    });
    const [code] = await once(shell, 'exit');
    return typeof code === 'number' ? code : 1;
  } finally {
    await target.close();
  }
}

const [host, keyFile, stick] = process.argv.slice(2);
if (host === undefined || keyFile === undefined || stick === undefined) {
  process.stderr.write('Usage: practice-machine HOST KEY.public STICK\n');
  process.exitCode = 64;
} else process.exitCode = await practise(host, keyFile, stick);
