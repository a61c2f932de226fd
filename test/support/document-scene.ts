/** What documents have people type, run: at the desk in the builder’s namespace, at the machine in the target’s, with one folder for both. */
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after } from 'node:test';
import { makeBuilder } from '../machines/builder.ts';
import { main } from '../machines/compiled.ts';
import { checkout } from '../machines/program.ts';
import { makeTarget, type Target } from '../machines/sandboxed-target.ts';
import type { Step } from './document-steps.ts';

/** What can’t be the same here, and what stands for it. */
export type Replacements = readonly (readonly [string, string])[];

export interface Scene {
  readonly run: (step: Step) => Promise<{ code: number | null; said: string }>;
  /** Made when it is first used. */
  readonly machine: () => Promise<Target>;
}

/** A desk and a machine named `host` that share a folder with a stick in it. */
export async function sceneIn(
  place: string,
  {
    name,
    host,
    replace,
    moreKeys = [],
    policy = {},
  }: {
    readonly name: string;
    readonly host: string;
    readonly replace: Replacements;
    /** Names of keys that the machine trusts besides `fleet-1`. */
    readonly moreKeys?: readonly string[];
    readonly policy?: Readonly<Record<string, unknown>>;
  },
): Promise<Scene> {
  const folder = join(place, name);
  const stick = join(folder, 'stick');
  for (const made of [folder, stick]) await mkdir(made, { recursive: true });
  const desk = await makeBuilder(`${folder}-builder`);
  const command = async (file: string, body: string) => {
    await mkdir(`${folder}-${file}`, { recursive: true });
    await writeFile(join(`${folder}-${file}`, 'nixmaker'), `#!/bin/sh\n${body}\n`);
    await chmod(join(`${folder}-${file}`, 'nixmaker'), 0o755);
  };
  await command('desk-bin', `exec ${process.execPath} ${main} "$@"`);
  let target: Awaited<ReturnType<typeof makeTarget>> | undefined;
  const machine = async () => {
    if (target !== undefined) return target;
    const trustedKeys = await Promise.all(
      ['fleet-1', ...moreKeys].map(async (key) =>
        (await readFile(join(folder, `${key}.public`), 'utf8')).trim(),
      ),
    );
    const root = `${folder}-machine`;
    target = await makeTarget(root, {
      host,
      trustedKeys,
      nixConf: `!include ${join(root, 'state/store-key.conf')}\n`,
      policy: { media: { folders: [stick] }, ...policy },
      settings: { activationDirectory: join(root, 'state'), fetchDirectory: join(root, 'fetched') },
    });
    const made = target;
    // The settings are where the default ones would be, for the verbs that read them.
    await command(
      'machine-bin',
      `verb=$1; shift\ncase $verb in explain|check-policy) ;; *) set -- "$@" --settings ${made.settingsFile} ;; esac\nexec ${process.execPath} ${main} "$verb" "$@"`,
    );
    return made;
  };
  // With the test that made the scene, or with the file.
  after(() => target?.close());
  const here = (line: string) =>
    [
      ['nixmaker/sample', join(checkout, 'sample')],
      ['/media/stick', stick],
      ['/run/media/anna/STICK', stick],
      ['/var/lib/nixmaker/inbox', `${folder}-machine/inbox`],
      ['/etc/nixmaker/policy.json', `${folder}-machine/etc/policy.json`],
      ...replace,
    ].reduce((text, [from, to]) => text.replaceAll(from as string, to as string), line);
  return {
    machine,
    run: async ({ where, line }) => {
      const target = where === 'machine' ? await machine() : undefined;
      const script = `cd "$1"; PATH=$1-${where}-bin:$PATH; export NIXMAKER="$2"; ssh() { shift; "$@"; }; ${here(line)}`;
      const argv = ['sh', '-euc', script, 'sh', folder, checkout];
      const ran = await (target?.run(argv) ?? desk.run(argv));
      return { code: ran.code, said: `${ran.stdout}${ran.stderr}` };
    },
  };
}

export const expectedExit = (line: string) => Number(/# exit (\d+)/.exec(line)?.[1] ?? 0);
