/**
 * SIGKILL of the agent, of the helper, and of both, before and after every transition of either, under a real systemd,
 * which starts them again. Whatever happens: the run ends, what runs is what is installed and what will start, one run of root’s
 * has changed the machine and no other has to do it over, no run is left open, and the store is whole. The transitions come from the life cycle itself.
 */
import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { hasBegunToChange, isAtRest, type State, states } from '../../src/core/run/lifecycle.ts';
import { bedNode, startBed } from '../machines/bed.ts';
import { printDefaultSystem } from '../machines/boot-menu.ts';
import { compiledHeld, compiledMain } from '../machines/compiled.ts';
import { heldUnitFiles } from '../machines/held-units.ts';
import { inSample, isItsTurn } from '../support/cases.ts';
import { makeWorkshop, plainHost } from '../support/fleet.ts';
import { keepTable } from '../support/out.ts';

const shop = await makeWorkshop();
const disk = join(shop.folder, 'bed');
await mkdir(disk);
const bed = await startBed(disk);
after(() => bed.stop());

const inbox = '/var/lib/nixmaker/inbox';
const activation = '/var/lib/nixmaker/activation';
const trust = `trusted-public-keys = ${shop.keys.publicKey}\n`;
await bed.write(
  '/etc/nix/nix.conf',
  `experimental-features = nix-command flakes\nsandbox = false\nsubstituters =\n${trust}`,
);
for (const [path, text] of heldUnitFiles(`${bedNode} ${compiledHeld} %s ${compiledMain}`))
  await bed.write(path, text);

type Operation = 'switch' | 'boot';
let operation: Operation | undefined;

async function setOperation(next: Operation): Promise<void> {
  if (next === operation) return;
  operation = next;
  const policy = { schema: 1, host: 'web', operation, trustedKeys: [shop.keys.publicKey] };
  await bed.write('/etc/nixmaker/policy.json', JSON.stringify(policy));
  await bed.sh(
    'systemd-tmpfiles --create held.conf; systemctl daemon-reload; systemctl restart nixmaker-activate.path nixmaker.service',
  );
}

interface Case {
  readonly at: 'agent' | 'activate';
  readonly when: 'before' | 'after';
  readonly state: State;
  readonly killed: readonly ('nixmaker' | 'nixmaker-activate')[];
  readonly bundle: 'good' | 'bad';
  readonly operation: Operation;
}

const bad: readonly State[] = ['rolling-back', 'rolled-back'];
const startsFirst: readonly State[] = ['pending'];
/** Ends of bundles that never get as far as the helper, or of systems that another one replaces; and what a window brings. */
const elsewhere: readonly State[] = ['staged', 'deferred', 'refused', 'failed', 'superseded'];
const agentStates: readonly State[] = [
  'discovered',
  'verified',
  'accepted',
  'imported',
  'realised',
  'committed',
];

const matrix: Case[] = (['before', 'after'] as const).flatMap((when, side) => [
  ...agentStates.map(
    (state): Case => ({
      at: 'agent',
      when,
      state,
      killed: ['nixmaker'],
      bundle: 'good',
      operation: 'switch',
    }),
  ),
  ...states
    .filter((s) => !elsewhere.includes(s))
    .flatMap((state, row) =>
      ([['nixmaker'], ['nixmaker-activate'], ['nixmaker', 'nixmaker-activate']] as const)
        .filter((_, column) => inSample(row + side, column, 3))
        .map(
          (killed): Case => ({
            at: 'activate',
            when,
            state,
            killed,
            bundle: bad.includes(state) ? 'bad' : 'good',
            operation: startsFirst.includes(state) ? 'boot' : 'switch',
          }),
        ),
    ),
]);
// As long as nothing is changed but the store one state is much like the next: those take turns.
const cases = matrix.filter(({ state }, i) => hasBegunToChange(state) || isItsTurn(i));
// One change of the policy is enough.
cases.sort((a, b) => (a.operation === b.operation ? 0 : a.operation === 'switch' ? -1 : 1));

/** Every other release is the same system, so that each case changes it. */
const release = (i: number, { bundle }: Case) =>
  shop.bundle(`case-${i}`, {
    hosts: { web: plainHost('web', `${bundle}-${i % 2}`) },
    args: ['--sequence', String((i + 1) * 10)],
    ...(bundle === 'bad' ? { switchPrelude: 'if [ "${1:-}" = switch ]; then exit 2; fi' } : {}),
  });

/** Kills their main processes, one after the other, and then lets go on whatever stands still. Each way into the machine is a few processes. */
const kill = (units: Case['killed']) =>
  bed.sh(
    `for unit; do
      pid=$(systemctl show --property MainPID --value "$unit.service")
      [ "$pid" != 0 ] || continue
      systemctl kill --kill-whom=main --signal=KILL "$unit.service"
      while grep -qs held-service "/proc/$pid/cmdline"; do sleep 0.02; done
    done
    touch /run/hold/go`,
    ...units,
  );

interface Line {
  readonly transaction: string;
  readonly state: State;
  readonly sequence?: number;
}

const linesOf = (journal: string) =>
  journal
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line.slice(17)) as Line);

/** How the machine was left, all of it asked for at once. */
async function look() {
  const said = await bed.sh(`cat ${activation}/journal
    echo ==; cat /var/lib/nixmaker/state/journal
    echo ==; readlink /run/current-system
    echo ==; installed=$(readlink -f /nix/var/nix/profiles/system); echo "$installed"
    echo ==; ${printDefaultSystem}
    echo ==; cat "$installed/etc/motd"; echo
    echo ==; nix-store --verify --check-contents 2>&1 || true`);
  const [lines = '', agents = '', ...rest] = said.split(/^==\n/m);
  assert.equal(rest.length, 5);
  const [running, installed, starts, motd, verified = ''] = rest.map((text) => text.trim());
  return { lines: linesOf(lines), agents: linesOf(agents), running, installed, starts, motd, verified };
}

/** Runs that have not come to rest. */
function openRuns(lines: readonly Line[]): Line[] {
  const last = new Map(lines.map((line) => [line.transaction, line]));
  return [...last.values()].filter((line) => !isAtRest(line.state));
}

const outcomes: Record<string, unknown>[] = [];

for (const [i, given] of cases.entries()) {
  const { at, when, state, killed, bundle } = given;
  test(`${given.operation}, ${bundle} system, ${killed.join(' and ')} killed at ${at} ${when} ${state}`, async () => {
    await setOperation(given.operation);
    const before = (
      await bed.sh(
        `rm -rf /run/hold/* ${inbox}/done ${inbox}/refused; echo "$1" >/run/hold/at; readlink /run/current-system || true`,
        `${at} ${when} ${state}`,
      )
    ).trim();
    await bed.write(`${inbox}/web.tar`, await readFile(await release(i, given)));
    await bed.until('test -e /run/hold/held');
    const held = at === 'activate' ? linesOf(await bed.sh('cat "$1/journal"', activation)).at(-1) : undefined;
    await kill(killed);

    const folder = bundle === 'good' ? 'done' : 'refused';
    await bed.until(`test -e ${inbox}/${folder}/web.tar.txt`);
    await bed.until('test "$(systemctl is-active nixmaker-activate.service)" = inactive');
    const { lines, agents, running, installed, starts, motd, verified } = await look();
    assert.deepEqual(openRuns([...lines, ...agents]), []);
    const last = lines.findLast((line) => line.sequence === (i + 1) * 10 + 1);
    outcomes.push({ ...given, killed: killed.join(' '), last: last?.state, installed: motd });
    assert.doesNotMatch(verified, /modified|disappeared|error/);
    assert.equal(starts, installed, 'what is installed is what starts');
    const end = bundle === 'bad' ? 'rolled-back' : given.operation === 'switch' ? 'committed' : 'pending';
    const runs = lines.filter((line) => line.sequence === last?.sequence);
    const changing = [...new Set(runs.filter((r) => r.state === 'profile-set').map((r) => r.transaction))];
    assert.equal(changing.length, 1, 'one run changes the machine, whoever was killed');
    assert.equal(runs.findLast((r) => r.transaction === changing[0])?.state, end);
    if (held !== undefined && hasBegunToChange(held.state)) assert.equal(changing[0], held.transaction);
    if (given.operation === 'switch') assert.equal(running, installed, 'what runs is what is installed');
    else assert.equal(running, before, 'nothing runs before its start');
    if (bundle === 'bad') {
      assert.equal(running, before);
      // An agent that was killed as well has brought it again.
      assert.ok(last?.state === 'rolled-back' || last?.state === 'refused', last?.state);
    } else {
      assert.equal(motd, `good-${i % 2}`);
      // An agent that was killed as well has brought it again, and there was nothing to do.
      assert.ok(last?.state === end || last?.state === 'committed', last?.state);
    }
  });
}

test('the outcomes are kept as a table', async () => {
  assert.equal(outcomes.length, cases.length);
  await keepTable('kill-matrix-two-processes', { cases: outcomes });
});
