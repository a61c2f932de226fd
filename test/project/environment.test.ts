/** The caller's environment doesn't decide how tests end: what the command line and Node.js read is not handed on. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkout, run } from '../machines/program.ts';
import { temporaryFolder } from '../support/bundles.ts';

const adverse = {
  CI: 'true',
  NO_COLOR: '1',
  FORCE_COLOR: '0',
  COLUMNS: '20',
  LC_ALL: 'C',
  TZ: 'Asia/Kathmandu',
  SOURCE_DATE_EPOCH: 'soon',
  SUDO_UID: '1000',
  XDG_CACHE_HOME: '/nowhere',
  NIX_REMOTE: 'ssh://nowhere',
  NIX_DAEMON_SOCKET_PATH: '/nowhere',
  GIT_DIR: '/nowhere',
  JOURNAL_STREAM: '8:1',
};

test('tests get none of the variables that would decide for them', async (t) => {
  const folder = await temporaryFolder(t);
  // In the place of Node.js: what its environment is.
  await writeFile(join(folder, 'node'), '#!/bin/sh\nenv >&2\numask >&2\n', { mode: 0o755 });
  const { stderr } = await run(
    'sh',
    ['-euc', 'umask 077; . tools/set-up/run-tests.sh; run_tests any.test.ts'],
    { cwd: checkout, env: { ...adverse, PATH: `${folder}:${process.env.PATH}` } },
  );
  // The compiler is started first, in the caller's environment.
  const lines = stderr.split('\n');
  const left = lines.slice(lines.indexOf('0077') + 1);
  for (const [name, value] of Object.entries(adverse))
    assert.ok(!left.includes(`${name}=${value}`), `${name} is handed on`);
  assert.ok(left.includes('LC_ALL=C.UTF-8') && left.includes('TZ=UTC') && left.includes('0022'));
});
