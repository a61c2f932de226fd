/**
 * What services.nixmaker makes of a machine's options, as files of /etc: units with their drop-ins (as NixOS's
 * systemd-lib.nix writes them), udev rules, tmpfiles, policy, settings, and its lines of nix.conf. The policy has passed the
 * check that NixOS would run when it builds the system.
 */

import { chmod, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Builder } from '../machines/builder.ts';
import { main } from '../machines/compiled.ts';
import { checkout } from '../machines/program.ts';

export interface Service {
  readonly path: readonly string[];
  readonly wantedBy: readonly string[];
  readonly requiredBy: readonly string[];
  readonly restartIfChanged: boolean;
  readonly enable?: boolean;
  readonly unitConfig: Readonly<Record<string, unknown>>;
  readonly serviceConfig: Readonly<Record<string, unknown>>;
  readonly environment?: Readonly<Record<string, string>>;
}

export interface Rule {
  readonly type: string;
  readonly mode: string;
  readonly user: string;
  readonly group: string;
  readonly age: string;
  readonly argument: string;
}

export interface User {
  readonly isSystemUser?: boolean;
  readonly group?: string;
  readonly home?: string;
  readonly hashedPassword?: string | null;
  readonly openssh?: { readonly authorizedKeys: { readonly keys: readonly string[] } };
}

export interface Evaluated {
  /** Empty if there is none; the list is JSON. */
  readonly diskScript: string;
  readonly disks: string;
  readonly failed: readonly string[];
  readonly policy: string;
  readonly settings: string;
  readonly nixKeys: readonly string[];
  readonly units: string;
  readonly udev: string;
  readonly documentation: readonly {
    readonly name: string;
    readonly type: string;
    readonly description: string;
    readonly default?: string;
    readonly example?: string;
  }[];
  readonly services: Readonly<Record<string, Service>>;
  readonly paths: Readonly<Record<string, { readonly wantedBy: readonly string[] }>>;
  readonly timers: Readonly<Record<string, { readonly wantedBy: readonly string[] }>>;
  readonly users: Readonly<Record<string, User>>;
  readonly groups: Readonly<Record<string, { readonly members: readonly string[] }>>;
  readonly warnings: readonly string[];
  readonly userServices: Readonly<Record<string, Service>>;
  readonly polkit: string;
  /** systemd.tmpfiles.settings: by file, path and type. */
  readonly tmpfiles: Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, Rule>>>>>>;
  readonly nixSettings: Readonly<Record<string, unknown>>;
  readonly mountOnMedia: boolean;
  readonly sshd: string;
  readonly nixConf: string;
  readonly extraServiceFiles: Readonly<Record<string, string>>;
  readonly ports: readonly number[];
  readonly bootCounting: boolean | null;
}

export interface EvaluateOptions {
  /** Further arguments of test/nixos/evaluate.nix. */
  readonly args?: string;
}

const wanted = `let e = import ${checkout}test/nixos/evaluate.nix ARGS; c = e.config; in {
  inherit (e) failed policy settings nixKeys units udev documentation;
  inherit (c.systemd) services paths timers;
  inherit (c.users) users groups;
  userServices = c.systemd.user.services;
  polkit = c.security.polkit.extraConfig;
  inherit (c) warnings;
  tmpfiles = c.systemd.tmpfiles.settings;
  diskScript = (c.environment.etc."nixmaker/disk-script" or { source = ""; }).source;
  disks = (c.environment.etc."nixmaker/disks.json" or { source = ""; }).source;
  nixSettings = c.nix.settings;
  inherit (c.services.udisks2) mountOnMedia;
  sshd = c.services.openssh.extraConfig;
  nixConf = c.nix.extraOptions;
  inherit (c.services.avahi) extraServiceFiles;
  ports = c.networking.firewall.allowedTCPPorts;
  bootCounting = c.boot.loader.systemd-boot.bootCounting.enable or null;
}`;

/** @param machine a module, as Nix @throws Error with what Nix says, where the options do not fit */
export async function evaluateModule(
  builder: Builder,
  machine: string,
  { args = '' }: EvaluateOptions = {},
): Promise<Evaluated> {
  const expression = wanted.replace('ARGS', `{ machine = ${machine}; ${args} }`);
  const ran = await builder.run(['nix', 'eval', '--impure', '--json', '--expr', expression], {
    env: { NIXPKGS: process.env.NIXPKGS ?? '' },
  });
  if (ran.code !== 0) throw new Error(ran.stderr);
  return JSON.parse(ran.stdout) as Evaluated;
}

/** Runs a script that Nix would run to build a package, with nixmaker’s own command line at hand. @returns its $out */
export async function runAsBuild(builder: Builder, folder: string, script: string) {
  const bin = join(folder, 'bin');
  const work = join(folder, 'work');
  const out = join(folder, 'out');
  for (const each of [bin, work]) await mkdir(each, { recursive: true });
  const wrapper = `#!/bin/sh\nexec ${process.execPath} ${main} "$@"\n`;
  await writeFile(join(bin, 'nixmaker'), wrapper, { mode: 0o755 });
  const ran = await builder.run(['sh', '-euc', `cd ${work}\n${script}`], {
    env: { out, PATH: `${bin}:${process.env.PATH}` },
  });
  return { ...ran, out };
}

export interface ModuleOutput {
  /** Text by path on the machine. */
  readonly files: Readonly<Record<string, string>>;
  /** Links to units, by path. */
  readonly links: Readonly<Record<string, string>>;
  readonly evaluated: Evaluated;
}

/** All of it, for a machine on which every program is below /usr. */
export async function moduleOutput(builder: Builder, folder: string, machine: string): Promise<ModuleOutput> {
  const evaluated = await evaluateModule(builder, machine, { args: 'place = _: "/usr";' });
  if (evaluated.failed.length > 0) throw new Error(evaluated.failed.join('\n'));
  const files: Record<string, string> = {};
  const links: Record<string, string> = {};
  const built = async (name: string, script: string) => {
    const made = await runAsBuild(builder, join(folder, name), script);
    if (made.code !== 0) throw new Error(made.stderr);
    return made.out;
  };
  const units = join(await built('units', evaluated.units), 'etc/systemd/system');
  for (const name of await readdir(units))
    files[`/etc/systemd/system/${name}`] = await readFile(join(units, name), 'utf8');
  const rules = join(await built('udev', evaluated.udev), 'lib/udev/rules.d');
  for (const name of await readdir(rules))
    files[`/etc/udev/rules.d/${name}`] = await readFile(join(rules, name), 'utf8');
  const policy = await built('policy', evaluated.policy);
  files['/etc/nixmaker/policy.json'] = await readFile(policy, 'utf8');
  const settings = await builder.run(['cat', evaluated.settings]);
  files['/etc/nixmaker/settings.json'] = settings.stdout;
  for (const [name, paths] of Object.entries(evaluated.tmpfiles))
    files[`/etc/tmpfiles.d/${name}.conf`] = tmpfilesText(paths);
  const kinds = { service: evaluated.services, path: evaluated.paths, timer: evaluated.timers };
  for (const [kind, of] of Object.entries(kinds))
    for (const [stem, unit] of Object.entries(of)) {
      const name = `${stem}.${kind}`;
      for (const target of unit.wantedBy) links[`/etc/systemd/system/${target}.wants/${name}`] = `../${name}`;
      if ('requiredBy' in unit)
        for (const target of (unit as Service).requiredBy)
          links[`/etc/systemd/system/${target}.requires/${name}`] = `../${name}`;
      if (kind === 'service') files[`/etc/systemd/system/${name}.d/overrides.conf`] = dropIn(unit as Service);
    }
  return { files, links, evaluated };
}

/** As NixOS writes them (nixos/modules/system/boot/systemd/tmpfiles.nix): all in quotes but the argument, which is the rest of its line. */
export function tmpfilesText(paths: Evaluated['tmpfiles'][string]): string {
  return Object.entries(paths)
    .flatMap(([path, rules]) =>
      Object.values(rules).map(({ type, mode, user, group, age, argument }) => {
        const fields = [type, path, mode, user, group, age].map((field) => `'${field}'`);
        return `${[...fields, argument].join(' ').trimEnd()}\n`;
      }),
    )
    .join('');
}

function section(name: string, settings: Readonly<Record<string, unknown>>): string {
  const lines = Object.entries(settings).flatMap(([key, value]) =>
    (Array.isArray(value) ? value : [value]).map((each) => `${key}=${each}`),
  );
  return `[${name}]\n${lines.join('\n')}\n`;
}

function dropIn({ path, unitConfig, serviceConfig, restartIfChanged, environment = {} }: Service): string {
  const search = [...path.map((p) => `${p}/bin`), ...path.map((p) => `${p}/sbin`)].join(':');
  return `${section('Unit', { 'X-RestartIfChanged': restartIfChanged, ...unitConfig })}\n${section(
    'Service',
    {
      Environment: Object.entries({ PATH: search, ...environment }).map((pair) => `"${pair.join('=')}"`),
      ...serviceConfig,
    },
  )}`;
}

/** A value as Nix has it, on one line. */
function codeOf(text: string): string {
  return `\`${text.replaceAll(/\n\s*/g, ' ')}\``;
}

/** docs/options.md: one section an option. */
export function optionsDocument(options: Evaluated['documentation']): string {
  const sections = options.map(({ name, type, description, ...more }) => {
    const values = (['default', 'example'] as const).flatMap((kind) =>
      more[kind] === undefined
        ? []
        : [`${kind === 'default' ? 'Default' : 'Example'}: ${codeOf(more[kind])}`],
    );
    return [`## \`${name}\``, description.trim(), [`Type: ${type}`, ...values].join('  \n')].join('\n\n');
  });
  return `# Options of the NixOS module\n\nWritten by \`npm run docs\` from \`nixos-module/\`; do not edit. What is said is what nixpkgs’ own generator says.\n\n${sections.join('\n\n')}\n`;
}

/** Lays it into a file tree. */
export async function layModuleOutput(tree: string, { files, links }: ModuleOutput): Promise<void> {
  for (const [path, contents] of Object.entries(files)) {
    await mkdir(join(tree, path, '..'), { recursive: true });
    await writeFile(join(tree, path), contents);
    await chmod(join(tree, path), 0o644);
  }
  for (const [path, to] of Object.entries(links)) {
    await mkdir(join(tree, path, '..'), { recursive: true });
    await symlink(to, join(tree, path));
  }
}
