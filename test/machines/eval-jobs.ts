#!/usr/bin/env node
/**
 * Stands in for nix-eval-jobs, which no registry has that the tests may use: its command line and its lines of JSON as its README has them,
 * and the evaluating by the real Nix. With EVAL_JOBS_ENDS_AFTER it ends itself after so many hosts, as one does that the kernel has ended.
 */
import { spawnSync } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    option: { type: 'boolean' },
    workers: { type: 'string' },
    'max-memory-size': { type: 'string' },
    'gc-roots-dir': { type: 'string' },
    meta: { type: 'boolean' },
    expr: { type: 'boolean' },
  },
});
// As there, the names and values of settings come in pairs behind their flag; the expression is what is left.
const expression = positionals.at(-1) ?? '';
const settings = positionals
  .slice(0, -1)
  .flatMap((value, i) => (i % 2 === 0 ? ['--option', value] : [value]));
if (process.env.EVAL_JOBS_LOG !== undefined)
  appendFileSync(process.env.EVAL_JOBS_LOG, `${JSON.stringify(values)}\n`);

function nix(...args: string[]): { ok: boolean; out: string; error: string } {
  const ran = spawnSync('nix', [...args, ...settings], { encoding: 'utf8' });
  return { ok: ran.status === 0, out: ran.stdout, error: ran.stderr.trim() };
}

const all = nix('eval', '--json', '--expr', expression, '--apply', 'builtins.attrNames');
if (!all.ok) {
  process.stderr.write(`${all.error}\n`);
  process.exit(1);
}
const most = Number(process.env.EVAL_JOBS_ENDS_AFTER ?? Number.POSITIVE_INFINITY);
for (const [i, name] of (JSON.parse(all.out) as string[]).entries()) {
  if (i === most) process.kill(process.pid, 'SIGKILL');
  const apply = `all: let d = all.${JSON.stringify(name)}; in { inherit (d) drvPath meta; outputs.out = d.outPath; }`;
  const told = nix('eval', '--json', '--expr', expression, '--apply', apply);
  const attr = name.includes('.') ? JSON.stringify(name) : name;
  const found = told.ok ? (JSON.parse(told.out) as { drvPath: string }) : { error: told.error };
  process.stdout.write(`${JSON.stringify({ attr, attrPath: [name], ...found })}\n`);
  if ('drvPath' in found)
    nix('build', found.drvPath, '--out-link', join(values['gc-roots-dir'] ?? '', basename(found.drvPath)));
}
