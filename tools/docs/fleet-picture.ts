/** fleet-picture.ts FILE: the README’s picture of the fleet page (`npm run pictures`), showing an invented fleet. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { PageHost, PageRun } from '../../src/report/fleet-condition.ts';
import { renderFleetPage } from '../../src/report/fleet-page.ts';

const [file = ''] = process.argv.slice(2);
const browser = process.env.NIXMAKER_BROWSER;
if (browser === undefined) throw new Error('no browser: use `npm run pictures`');

const run = (sequence: number, state = 'committed', code?: string): PageRun => ({
  at: `2026-11-${10 + sequence}T08:00:00Z`,
  state,
  code,
  sequence,
  name: `26.05.${sequence}`,
});

const host = (name: string, changes: Partial<PageHost> = {}): PageHost => ({
  ...{ host: name, heard: true, collected: '2026-11-24T09:00:00Z', at: '2026-11-24T08:00:00Z' },
  ...{ unreadable: 0, returned: false, detail: undefined, agentSays: [], found: [], held: [], former: [] },
  ...{ runs: [run(10), run(11), run(12)], release: 12, floor: 12 },
  ...{ versions: { nixos: '26.05.12', nixmaker: '0.1.0', kernel: 'Linux 6.18.1' }, failedUnits: [] },
  ...{ freeBytes: 12 * 1024 ** 3, restartNeeded: false, available: { sequence: 12, bytes: 410_000_000 } },
  ...changes,
});

const rolledBack = [run(10), run(11), run(12, 'rolled-back', 'health-failed')];
const hosts = [
  host('bridge'),
  host('engine-room', { runs: rolledBack, release: 11, floor: 11, versions: { nixos: '26.05.11' } }),
  host('galley', { collected: '2026-08-01T09:00:00Z', release: 9, floor: 9, versions: { nixos: '26.05.9' } }),
  host('mast', { failedUnits: ['radar.service'] }),
  host('radio', { runs: [run(10), run(11), run(12, 'pending')], restartNeeded: true }),
  host('sickbay'),
];

const page = renderFleetPage({ hosts, now: new Date('2026-11-26T12:00:00Z'), staleAfter: 60, retired: [] });
const folder = mkdtempSync(join(tmpdir(), 'nixmaker-picture-'));
try {
  writeFileSync(join(folder, 'fleet.html'), page);
  const args = [`--user-data-dir=${folder}/profile`, '--window-size=1280,660', '--hide-scrollbars'];
  const shot = join(folder, 'fleet.png');
  execFileSync(browser, [...args, `--screenshot=${shot}`, `file://${folder}/fleet.html`], {
    stdio: 'ignore',
  });
  execFileSync('cp', [shot, resolve(file)]);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
