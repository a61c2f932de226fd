/** What the fleet page says of hosts, and that what comes from outside stays text. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeHost, type PageHost } from '../../src/report/fleet-condition.ts';
import { renderFleetPage } from '../../src/report/fleet-page.ts';
import { hosts, now, page, well } from '../support/fleet-hosts.ts';

test('what comes from outside stays text, and nothing is loaded from anywhere', () => {
  const html = page(hosts);
  const tags = html.match(/<[a-z][^>]*>/g) ?? [];
  const suspect = tags.filter((tag) =>
    /^<(script|img|iframe|object|embed|link|base|form)\b|\s(src|srcset|action|poster|data|on[a-z]+)=/.test(
      tag,
    ),
  );
  assert.deepEqual(suspect, []);
  assert.doesNotMatch(html, /@import|url\(/);
  assert.deepEqual(
    [...html.matchAll(/\shref="([^"]*)"/g)].filter(([, to]) => !to?.startsWith('#')),
    [],
  );
  assert.match(html, /&lt;script&gt;alert\(1\)&lt;\/script&gt;/);
  assert.match(html, /default-src 'none'/);
});

test('those that need somebody come first, with the reason and what to do; and the next stick is packed', () => {
  const html = page(hosts);
  const rows = [...html.matchAll(/<th scope="row"><a href="#host-([a-z]+)">/g)].map(([, host]) => host);
  assert.deepEqual(rows, ['mast', 'engine', 'new', 'silent', 'galley', 'kiosk', 'bridge']);
  assert.match(html, /<details class="are-unwell" id="host-engine" open>/);
  assert.match(html, /<dt>Next<\/dt><dd>[^<]+/);
  const next = /For the next stick<\/h2>(.*?)<\/section>/s.exec(html)?.[1] ?? '';
  assert.match(next, /<b>bridge<\/b>: has 7, gets 9/);
  assert.match(next, /<b>silent<\/b>: has an unknown one, gets 9/);
  assert.match(next, /No bundle here for 1 more/);
  assert.doesNotMatch(next, /galley|kiosk/);
  assert.match(html, /aria-label="1 of the last 2 runs succeeded"/);
});

test('a page says “nothing” only where everything is known', () => {
  const here = { ...well, available: { sequence: 7, bytes: 1 } };
  assert.match(page([here]), /Nothing: every host has its newest bundle/);
  for (const other of [
    { ...here, floor: undefined },
    { ...here, floor: 8 },
    { ...well, available: undefined },
  ])
    assert.doesNotMatch(page([here, other]), /every host has its newest/);
  assert.match(page([{ ...here, floor: 31 }]), /has 31, and will refuse 7/);
});

test('what a host’s condition is, and why', () => {
  const of = (change: Partial<PageHost>) => judgeHost({ ...well, ...change }, { now, staleAfter: 60 });
  const ended = (state: string) => [
    { at: well.at ?? '', state, code: undefined, sequence: 1, name: undefined },
  ];
  assert.deepEqual(of({}), { condition: 'well', reasons: [] });
  const long = '2026-09-01T00:00:00Z';
  const cases: readonly [Partial<PageHost>, string, RegExp][] = [
    [{ runs: ended('pending') }, 'waits', /after a restart/],
    [{ restartNeeded: true, release: 6 }, 'waits', /after a restart/],
    [
      {
        runs: ended('staged'),
        staged: { sequence: 8, since: '2026-11-20T01:02:03Z', code: 'outside-window', detail: 'it opens' },
      },
      'waits',
      /^Release 8 is staged there since 2026-11-20 01:02 \(its clock\): outside-window: it opens\.$/,
    ],
    [{ runs: ended('refused') }, 'unwell', /refused/],
    [{ runs: ended('failed') }, 'unwell', /failed/],
    [{ runs: ended('rolled-back') }, 'unwell', /rolled back/],
    [{ collected: long }, 'stale', /Not seen for 86 days/],
    [{ collected: long, at: '2099-01-01T00:00:00Z' }, 'stale', /Not seen for 86 days/],
    [{ collected: long, failedUnits: ['a.service'] }, 'unwell', /^Failed: a\.service\. /],
    [
      { failedUnits: ['a.s', 'b.s', 'c.s', 'd.s', 'e.s'] },
      'unwell',
      /^Failed: a\.s, b\.s, c\.s and 2 more\.$/,
    ],
    [{ collected: undefined }, 'unknown', /when its newest receipt was collected/],
    [{ collected: '2027-01-01T00:00:00Z' }, 'unknown', /in the future/],
    [{ heard: false }, 'unknown', /No receipt/],
    [{ runs: [] }, 'unknown', /not taken a bundle yet/],
    [{ unreadable: 2 }, 'unknown', /2 of its stored receipts cannot be read/],
    [
      { found: ['/in/a (io-error)', 'b.tar.zip (misnamed)'] },
      'unwell',
      /it was given: \/in\/a \(io-error\), and 1 more/,
    ],
    [{ returned: true }, 'unknown', /retired/],
    [{ release: 6, held: [7] }, 'unwell', /Held at the machine: 7\. .*went back to release 6 after taking 7/],
    [{ held: [8] }, 'unwell', /Held at the machine: 8\. Not taken again until something newer comes/],
    [{ release: 6 }, 'unwell', /went back to release 6 after taking 7/],
    [{ release: undefined }, 'unknown', /system that none of its receipts mention/],
    [{ release: 8 }, 'unknown', /has not confirmed it/],
  ];
  for (const [change, condition, why] of cases) {
    const judged = of(change);
    assert.equal(judged.condition, condition, JSON.stringify(change));
    assert.match(judged.reasons.join(' '), why);
  }
  assert.equal(of({ runs: ended('superseded') }).condition, 'well');
});

test('what several hosts have in common is told once, and they stand together', () => {
  const failed = (host: string): PageHost => ({ ...well, host, failedUnits: ['a.service'] });
  const html = page([failed('host-10'), { ...well, host: 'host-3', held: [7] }, failed('host-2'), well]);
  const common = /<section aria-labelledby="common">.*<\/section>/.exec(html)?.[0] ?? '';
  assert.match(common, /<li><b>2 hosts<\/b>: Failed: a\.service\. host-2 and host-10\.<\/li>/);
  const order = [...html.matchAll(/<th scope="row"><a href="#host-([^"]*)"/g)].map(([, host]) => host);
  assert.deepEqual(order, ['host-2', 'host-10', 'host-3', 'bridge']);
  assert.doesNotMatch(page([failed('host-1'), well]), /aria-labelledby="common"/);
});

test('the table says why, by which name the release is known, and each number in the summary leads to its hosts', () => {
  const html = page(hosts);
  assert.match(html, /data-label="Why">Failed: radar\.service, /);
  assert.match(html, /data-label="Release"><span>7 <small>26\.05<\/small><\/span>/);
  const leads = [...html.matchAll(/<li class="\w+"><a href="#(are-\w+)"><b>(\d+)<\/b>/g)];
  assert.deepEqual(
    leads.map(([, id, count]) => [id, count]),
    [
      ['are-unwell', '2'],
      ['are-unknown', '2'],
      ['are-stale', '1'],
      ['are-waits', '1'],
      ['are-well', '1'],
    ],
  );
  for (const [, id] of leads) assert.match(html, new RegExp(`<tbody class="${id}" id="${id}">`));
  assert.match(page([well]), /<b>0<\/b> need attention<\/li>/);
  assert.match(page([well]), /<p>1 host, /);
});

test('the time line has every release of a host with its name, newest first', () => {
  const line = /<ol class="line">(.*?)<\/ol>/.exec(page([well]))?.[1] ?? '';
  assert.match(
    line,
    /^<li class="ok"><time>2026-11-20 08:00<\/time> done, release 7 <small>26\.05\.7<\/small><\/li>/,
  );
  assert.match(
    line,
    /<li class="no"><time>2026-10-01 08:00<\/time> rolled back \(health-failed\), release 6/,
  );
  const [run] = well.runs;
  const many = { ...well, runs: Array.from({ length: 25 }, () => ({ ...(run as (typeof well.runs)[0]) })) };
  assert.match(page([many]), /5 older not shown/);
});

test('rings are listed with what they wait for, and a host’s details name its ring', () => {
  const rings = [
    { name: 'canary', hosts: 1, why: undefined },
    { name: 'rest', hosts: 7, why: '0 of 1 hosts of ring “canary” have committed this release' },
  ];
  const html = renderFleetPage({
    hosts: [{ ...well, ring: 'canary' }],
    rings,
    now,
    staleAfter: 60,
    retired: [],
  });
  assert.match(html, /<b>canary<\/b>: 1 host<\/li><li><b>rest<\/b>: 7 hosts; waiting: 0 of 1 hosts of ring/);
  assert.match(html, /<dt>Ring<\/dt><dd>canary<\/dd>/);
  assert.doesNotMatch(page([well]), /Rings<\/h2>/);
});
