/** Scripts of nixpkgs’ test driver, checked as it checks them before it starts a machine: pyflakes, and mypy with types for its names. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { checkout, run } from '../machines/program.ts';

/** Names of the driver’s that scripts may use, besides the machines. */
const driverNames = ['machines', 'start_all', 'subtest', 'retry', 'driver', 'log'];
const machines = ['desk', 'next', 'target'];

function python(bin: string, args: readonly string[], env: Readonly<Record<string, string>>) {
  const usr = join(dirname(bin), 'root/usr');
  return run(join(bin, 'python3'), args, {
    env: { PYTHONHOME: usr, PYTHONPATH: join(usr, 'lib/python3/dist-packages'), ...env },
  });
}

/** @param bin where Python is, with both beside it (tools/set-up/tools.sh) @returns what they say against the scripts, by name; nothing where they are quiet */
export async function pythonFaults(bin: string, folder: string, scripts: Readonly<Record<string, string>>) {
  await mkdir(folder, { recursive: true });
  const types = machines.map((name) => `${name}: QemuMachine\n`).join('');
  const said: string[] = [];
  for (const [name, script] of Object.entries(scripts)) {
    const plain = join(folder, `${name}.py`);
    const typed = join(folder, `${name}-typed.py`);
    await writeFile(plain, script);
    await writeFile(typed, `from driver import QemuMachine\n${types}${script}`);
    const names = [...machines, ...driverNames].join(',');
    const linted = await python(bin, ['-m', 'pyflakes', plain], { PYFLAKES_BUILTINS: names });
    if (linted.code !== 0) said.push(`${name}: ${linted.stdout}${linted.stderr}`);
  }
  const checked = await python(
    bin,
    [
      '-m',
      'mypy',
      '--no-implicit-optional',
      '--check-untyped-defs',
      `--cache-dir=${join(folder, 'mypy')}`,
      ...Object.keys(scripts).map((name) => join(folder, `${name}-typed.py`)),
    ],
    { MYPYPATH: join(checkout, 'test/nixos/driver-stubs') },
  );
  if (checked.code !== 0) said.push(checked.stdout + checked.stderr);
  return said;
}
