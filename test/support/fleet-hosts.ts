/** Hosts of the fleet page in every condition, some with names that would do harm. */
import type { PageHost } from '../../src/report/fleet-condition.ts';
import { renderFleetPage } from '../../src/report/fleet-page.ts';

export const now = new Date('2026-11-26T12:00:00Z');

const wellHost = (host: string): PageHost => ({
  host,
  heard: true,
  collected: '2026-11-20T09:00:00Z',
  at: '2026-11-20T08:00:00Z',
  unreadable: 0,
  returned: false,
  runs: [
    { at: '2026-10-01T08:00:00Z', state: 'rolled-back', code: 'health-failed', sequence: 6, name: '26.05.6' },
    { at: '2026-11-20T08:00:00Z', state: 'committed', code: undefined, sequence: 7, name: '26.05.7' },
  ],
  detail: undefined,
  agentSays: [],
  found: [],
  held: [],
  release: 7,
  floor: 7,
  former: [],
  versions: { nixos: '26.05', nixmaker: '0.1.0', kernel: 'Linux 6.18.1' },
  failedUnits: [],
  freeBytes: 12 * 1024 ** 3,
  restartNeeded: false,
  available: { sequence: 9, bytes: 400_000_000 },
});
export const well = wellHost('bridge');
export const hosts: readonly PageHost[] = [
  well,
  {
    ...well,
    host: 'engine',
    runs: [
      { at: '2026-11-20T08:00:00Z', state: 'refused', code: 'wrong-host', sequence: 9, name: undefined },
    ],
    detail: 'it is for “bridge”, <script>alert(1)</script>',
  },
  // Its own clock says what it likes.
  {
    ...well,
    host: 'galley',
    at: '2099-08-01T08:00:00Z',
    collected: '2026-08-01T08:00:00Z',
    available: { sequence: 7, bytes: 1 },
  },
  { ...well, host: 'kiosk', restartNeeded: true, available: undefined },
  {
    ...well,
    host: 'mast',
    failedUnits: ['radar.service', '"><img src=http://x/>.service'],
    freeBytes: undefined,
  },
  {
    ...well,
    host: 'new',
    runs: [],
    release: undefined,
    floor: undefined,
    versions: {},
    failedUnits: undefined,
  },
  {
    ...well,
    host: 'silent',
    heard: false,
    collected: undefined,
    at: undefined,
    runs: [],
    release: undefined,
    floor: undefined,
    versions: {},
    failedUnits: undefined,
    freeBytes: undefined,
  },
];

export const page = (of: readonly PageHost[]) =>
  renderFleetPage({ hosts: of, now, staleAfter: 60, retired: ['<old>'] });
