/** compile.ts: compiles the command line and the tests' own programs, where it has not been done, and prints the folder. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, copyFile, glob, mkdir, mkdtemp, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { commandLine, compileInto } from '../../tools/compile/main.ts';
import { checkout } from './program.ts';

const programs = {
  ...commandLine,
  'machines/held-service': { entry: 'test/machines/held-service.ts', calls: [['agent', 'none', '%no']] },
  'machines/killed-run': { entry: 'test/machines/killed-run.ts', calls: [['%no']] },
  'machines/as-booted': { entry: 'test/machines/as-booted.ts', calls: [['a-boot', '%no', 'agent']] },
};
const folder = join(checkout, 'test/out/built');
const oneDay = 86_400_000;

/** Of all that goes into it. */
async function digest(): Promise<string> {
  const sources: string[] = [];
  for await (const path of glob(['src/**/*.ts', 'tools/compile/*.ts'], { cwd: checkout })) sources.push(path);
  const entries = Object.values(programs).map(({ entry }) => entry);
  // What V8 makes of it is its own.
  const hash = createHash('sha256').update(process.version);
  const others = [
    'package.json',
    'package-lock.json',
    'tsconfig.json',
    'test/machines/compile.ts',
    ...entries,
  ];
  for (const path of [...sources.sort(), ...others]) {
    const text = await readFile(join(checkout, path));
    hash.update(`${path} ${text.length}\n`).update(text);
  }
  return hash.digest('hex').slice(0, 16);
}

/** @returns the folder with `package.json`, which is looked for two folders up from its programs, and `dist/` */
export async function compile(): Promise<string> {
  const place = join(folder, await digest());
  const finished = join(place, 'nixmaker');
  if (existsSync(finished)) return finished;
  await mkdir(folder, { recursive: true });
  await clearAway();
  await mkdir(place, { recursive: true });
  const making = await mkdtemp(join(place, 'making-'));
  // Services that are not root's start what is in it.
  await chmod(making, 0o755);
  await copyFile(join(checkout, 'package.json'), join(making, 'package.json'));
  await compileInto(join(making, 'dist'), programs, { keepCode: true });
  // Another process may have been quicker; what it made is the same.
  await rename(making, finished).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    await rm(making, { recursive: true });
  });
  return finished;
}

/** What belongs to earlier sources; not what another run may be using. */
async function clearAway(): Promise<void> {
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    if (Date.now() - (await stat(path)).mtimeMs > oneDay) await rm(path, { recursive: true, force: true });
  }
}

if (import.meta.main) process.stdout.write(`${await compile()}\n`);
