/** A build that is stopped, by Ctrl-C, by a service manager, or because the terminal has closed: Nix ends too, and nothing is left. */
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { main } from '../machines/compiled.ts';
import { nixSystem } from '../machines/program.ts';
import { makeDesk } from '../support/desk.ts';
import { writeFlake } from '../support/fleet.ts';

const { builder, folder } = await makeDesk();
const slow = (name: string) =>
  `{ config.system.build.toplevel = derivation { name = "nixos-system-${name}-0"; system = "${nixSystem}"; builder = "/bin/sh"; PATH = "/usr/bin:/bin"; args = [ "-c" "echo >${folder}/${name}-begun; sleep 600" ]; }; }`;

for (const signal of ['INT', 'TERM', 'HUP'])
  test(`a build that gets SIG${signal} ends as one that was stopped`, async () => {
    const [name, out] = [signal.toLowerCase(), join(folder, `out-${signal}`)];
    const flake = await writeFlake(join(folder, name), { hosts: { [name]: slow(name) } });
    const call = [process.execPath, main, 'build', '-f', `path:${flake}`, '-d', out, '--json'];
    const stop = `"$@" & p=$!; until [ -e "$0" ]; do sleep 0.05; done; kill -${signal} $p; wait $p`;
    // bash, because sh would have its background jobs ignore SIGINT.
    const ran = await builder.run(['bash', '-umc', stop, join(folder, `${name}-begun`), ...call]);
    assert.equal(ran.code, 130, ran.stderr);
    assert.equal(JSON.parse(ran.stdout).code, 'stopped');
    assert.deepEqual(
      (await readdir(out)).filter((left) => left.startsWith('.nixmaker-')),
      [],
    );
  });
