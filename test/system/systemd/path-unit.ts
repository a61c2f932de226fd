/** Whatever lies where the path unit looks, and however the helper ends: it goes on looking, and the next good request is served. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bed, drop, release, report } from './scene.ts';

const folders = ['requests', 'keyrings', 'vouchers', 'rooms', 'visits'].map(
  (name) => `/run/nixmaker/${name}`,
);
/** What the shell’s glob finds is what systemd’s PathExistsGlob= finds. */
const nothingAsked = folders.map((folder) => `! ls ${folder}/*.json >/run/listed 2>&1`).join(' && ');
const asAgent = 'setpriv --reuid nixmaker --regid nixmaker --clear-groups';
const paths = 'nixmaker-activate.path nixmaker-receipts.path';
const look = async () =>
  (
    await bed.sh(`systemctl show --property ActiveState,Result --value ${paths} | grep -v "^$" | xargs`)
  ).trim();

const started = async () =>
  Number(
    await bed.sh(
      'journalctl --no-pager --unit nixmaker-activate.service --grep "^Started" --output=cat | wc -l',
    ),
  );

test('folders, pipes, links, sockets and names that are no text go out of the path units’ sight, and a good request is served', async () => {
  await bed.sh(`systemctl start ${paths}; systemctl stop ${paths}`);
  await bed.write('/var/lib/elsewhere', 'root’s own', '0600');
  for (const folder of folders) {
    await bed.sh(
      `install -d -o nixmaker -g nixmaker -m 700 "$1"; cd "$1"
      ${asAgent} sh -euc 'mkdir -p a.json/below empty.json; touch a.json/below/file; chmod 0 a.json/below
        mkfifo fifo.json; ln -s /var/lib/elsewhere link.json; ln -s nowhere dangling.json
        touch "$(printf "\\377.json")"; mkdir -p "$(printf "folder\\376.json")/full"
        for n in $(seq 40); do mkdir -p "0-$n.json/full"; done'`,
      folder,
    );
  }
  const before = await started();
  await bed.sh(`systemctl start ${paths}`);
  await bed.until(`{ ${nothingAsked}; } || systemctl is-failed ${paths}`);
  assert.equal(await look(), 'active success active success');
  const starts = (await started()) - before;
  assert.ok(starts < 20, `${starts} starts`);
  // What root has put aside is the agent’s own and goes with its next request; no link was followed.
  assert.equal(await bed.sh('cat /var/lib/elsewhere'), 'root’s own');
  await drop(await release('after-foreign', 850), 'after-foreign.tar');
  assert.match(await report('done', 'after-foreign.tar'), /^DONE\n/);
});

test('a helper that ends at once with 78 while a request waits is started with pauses, for ever, and serves it when it can', async () => {
  const dropIn = '/run/systemd/system/nixmaker-activate.service.d/ends.conf';
  const count = 'grep -c . /run/ended';
  await bed.write(
    dropIn,
    '[Service]\nExecStart=\nExecStart=/bin/sh -c "cut -d. -f1 /proc/uptime >>/run/ended; exit 78"\n',
  );
  await bed.sh('systemctl daemon-reload; rm -f /run/ended');
  await drop(await release('patient', 860), 'patient.tar');
  await bed.until(`test "$(${count})" -ge 3 || systemctl is-failed nixmaker-activate.path`);
  assert.equal(await look(), 'active success active success');
  const at = (await bed.sh('head -n 3 /run/ended')).trim().split('\n').map(Number);
  const [first = 0, , third = 0] = at;
  assert.ok(third - first >= 15, `started at ${at.join(', ')} s`);
  await bed.sh('rm "$1"; systemctl daemon-reload', dropIn);
  assert.match(await report('done', 'patient.tar'), /^DONE\n/);
});
