/**
 * The fleet as one page of HTML that needs nothing else: no script, no font, no network. For a phone, a printer, a dark room, a
 * keyboard and a screen reader. Everything in it came from outside, and is escaped.
 */
import { catalogue } from '../core/catalogue.ts';
import { printable } from '../core/errors.ts';
import { fleetStyle } from './fleet-style.ts';
import { bytes } from './tables.ts';

export interface PageRun {
  readonly at: string;
  readonly state: string;
  readonly code: string | undefined;
  readonly sequence: number | undefined;
}

export interface PageHost {
  readonly host: string;
  /** When it last wrote a receipt, by its own clock. */
  readonly at: string;
  /** Oldest first. */
  readonly runs: readonly PageRun[];
  readonly detail: string | undefined;
  /** What the host’s agent says of bundles that its root never saw: nobody has checked it. */
  readonly agentSays?: readonly { readonly state: string; readonly text: string }[];
  readonly sequence: number | undefined;
  readonly versions: {
    readonly nixos?: string | undefined;
    readonly nixmaker?: string | undefined;
    readonly kernel?: string | undefined;
  };
  readonly failedUnits: readonly string[] | undefined;
  readonly freeBytes: number | undefined;
  readonly restartNeeded: boolean;
  /** Newest bundle at the desk, where bundles were given to compare with. */
  readonly available?: { readonly sequence: number; readonly bytes: number } | undefined;
}

export interface FleetPage {
  readonly hosts: readonly PageHost[];
  readonly now: Date;
  /** Days after which a host without a visit is called stale. */
  readonly staleAfter: number;
}

const dayMilliseconds = 86_400_000;
/** What waits for a restart has gone well so far. */
const good = new Set(['committed', 'superseded', 'pending']);

type Condition = 'well' | 'waits' | 'unwell' | 'stale';
const conditionWords: Readonly<Record<Condition, string>> = {
  well: 'well',
  waits: 'waits for a restart',
  unwell: 'needs somebody',
  stale: 'not visited',
};

/** After a number, of one or of many. */
const countWords: Readonly<Record<Condition, string>> = {
  ...conditionWords,
  waits: 'waiting for a restart',
  unwell: 'in need of somebody',
};

export function conditionOf(
  { runs, agentSays = [], failedUnits, restartNeeded, at }: PageHost,
  page: FleetPage,
): Condition {
  const last = runs.at(-1);
  if (last !== undefined && !good.has(last.state)) return 'unwell';
  // What it says can call for somebody, and never make a host well.
  if (agentSays.some(({ state }) => !good.has(state))) return 'unwell';
  if (failedUnits !== undefined && failedUnits.length > 0) return 'unwell';
  if (daysSince(at, page.now) > page.staleAfter) return 'stale';
  return last?.state === 'pending' || restartNeeded ? 'waits' : 'well';
}

export function renderFleetPage(page: FleetPage): string {
  const order: readonly Condition[] = ['unwell', 'stale', 'waits', 'well'];
  const hosts = page.hosts
    .map((host) => ({ host, condition: conditionOf(host, page) }))
    .sort(
      (a, b) =>
        order.indexOf(a.condition) - order.indexOf(b.condition) || (a.host.host < b.host.host ? -1 : 1),
    );
  const count = (condition: Condition) => hosts.filter((h) => h.condition === condition).length;
  const summary = order.map((c) => `<li class="${c}"><b>${count(c)}</b> ${countWords[c]}</li>`).join('');
  const when = page.now.toISOString().slice(0, 16).replace('T', ' ');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="color-scheme" content="light dark">
<title>Fleet: ${hosts.length} hosts, ${count('unwell')} in need of somebody</title>
<style>
${fleetStyle}</style>
</head>
<body>
<a class="skip" href="#hosts">To the hosts</a>
<header>
<h1>Fleet</h1>
<p>${hosts.length} hosts, by the receipts that were collected until <time datetime="${page.now.toISOString()}">${when} UTC</time>.</p>
<ul class="summary" aria-label="How many hosts are how">${summary}</ul>
</header>
<main id="hosts">
${hostsTable(hosts, page)}
${nextStick(page.hosts)}
<section aria-labelledby="details"><h2 id="details">Details</h2>
${hosts.map(({ host, condition }) => details(host, condition)).join('\n')}
</section>
</main>
<footer><p>Written by nixmaker. Times are the hosts’ own clocks, in UTC.</p></footer>
</body>
</html>
`;
}

interface Row {
  readonly host: PageHost;
  readonly condition: Condition;
}

function hostsTable(rows: readonly Row[], page: FleetPage): string {
  if (rows.length === 0) return '<p>No receipt has been collected yet.</p>';
  const heads = [
    'Host',
    'Condition',
    'Sequence',
    'Last run',
    'NixOS',
    'Failed units',
    'Free',
    'Visited',
    'Runs',
  ];
  const body = rows.map(({ host, condition }) => {
    const last = host.runs.at(-1);
    const cells = [
      `<span class="badge ${condition}">${conditionWords[condition]}</span>`,
      text(host.sequence),
      last === undefined
        ? 'none'
        : `${text(last.state)}${last.code === undefined ? '' : ` (${text(last.code)})`}`,
      text(host.versions.nixos),
      text(host.failedUnits?.length),
      host.freeBytes === undefined ? '–' : text(bytes(host.freeBytes)),
      `<time datetime="${text(host.at)}">${ago(host.at, page.now)}</time>`,
      trend(host.runs),
    ];
    const name = `<th scope="row"><a href="#host-${text(host.host)}">${text(host.host)}</a></th>`;
    const rest = cells.map((cell, i) => `<td data-label="${heads[i + 1]}">${cell}</td>`).join('');
    return `<tr>${name}${rest}</tr>`;
  });
  return `<div class="scroll" role="region" aria-labelledby="table-title" tabindex="0">
<table><caption id="table-title">Hosts, those that need somebody first</caption>
<thead><tr>${heads.map((h) => `<th scope="col">${h}</th>`).join('')}</tr></thead>
<tbody>
${body.join('\n')}
</tbody></table></div>`;
}

/** The last runs as bars, newest at the right: tall and filled went well, short and hollow did not. */
function trend(runs: readonly PageRun[]): string {
  const shown = runs.slice(-10);
  if (shown.length === 0) return '–';
  const well = shown.filter((r) => good.has(r.state)).length;
  const bars = shown.map((run, i) => {
    const ok = good.has(run.state);
    return `<rect class="${ok ? 'ok' : 'no'}" x="${i * 8 + 1}" y="${ok ? 1 : 9}" width="5" height="${ok ? 14 : 6}"/>`;
  });
  return `<svg class="trend" role="img" aria-label="${well} of the last ${shown.length} runs went well" viewBox="0 0 80 16" width="80" height="16">${bars.join('')}</svg>`;
}

function nextStick(hosts: readonly PageHost[]): string {
  const compared = hosts.filter((h) => h.available !== undefined);
  if (compared.length === 0) return '';
  const behind = compared.filter(({ available, sequence }) => (available?.sequence ?? 0) > (sequence ?? 0));
  const size = behind.reduce((sum, h) => sum + (h.available?.bytes ?? 0), 0);
  const items = behind.map(
    ({ host, sequence, available }) =>
      `<li><b>${text(host)}</b>: has ${sequence === undefined ? 'none' : text(sequence)}, gets ${text(available?.sequence)}</li>`,
  );
  const said =
    behind.length === 0
      ? '<p>Nothing: every host has the newest that is here.</p>'
      : `<p>${behind.length} bundles, at most ${text(bytes(size))}; less in a pool (<code>nixmaker put</code>).</p><ul>${items.join('')}</ul>`;
  return `<section aria-labelledby="next"><h2 id="next">What the next stick must carry</h2>${said}</section>`;
}

function details(
  { host, runs, agentSays = [], detail, versions, failedUnits, at }: PageHost,
  condition: Condition,
): string {
  const last = runs.at(-1);
  const entry =
    last?.code !== undefined && Object.hasOwn(catalogue, last.code)
      ? catalogue[last.code as keyof typeof catalogue]
      : undefined;
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['What happened', entry?.what],
    ['Detail', detail],
    ['What to do', entry?.next],
    [
      'Failed units',
      failedUnits === undefined || failedUnits.length === 0 ? undefined : failedUnits.join(', '),
    ],
    ['Kernel', versions.kernel],
    ['nixmaker', versions.nixmaker],
    ['Visited', at],
  ];
  const list = rows.flatMap(([label, value]) =>
    value === undefined || value === '' ? [] : [`<dt>${label}</dt><dd>${text(value)}</dd>`],
  );
  const history = runs
    .slice(-10)
    .reverse()
    .map(
      (r) =>
        `<li>${text(r.at.slice(0, 16).replace('T', ' '))}: ${text(r.state)}${r.code === undefined ? '' : ` (${text(r.code)})`}${r.sequence === undefined ? '' : `, sequence ${text(r.sequence)}`}</li>`,
    );
  const open = condition === 'unwell' ? ' open' : '';
  return `<details id="host-${text(host)}"${open}><summary>${text(host)} <span class="badge ${condition}">${conditionWords[condition]}</span></summary><dl>${list.join('')}</dl>${history.length === 0 ? '' : `<h3>Last runs</h3><ol>${history.join('')}</ol>`}${claims(agentSays)}</details>`;
}

function claims(says: NonNullable<PageHost['agentSays']>): string {
  if (says.length === 0) return '';
  const items = says.map((claim) => `<li>${text(claim.text)}</li>`).join('');
  return `<h3>What its agent says of bundles that root has not seen; nobody has checked it</h3><ul>${items}</ul>`;
}

function daysSince(at: string, now: Date): number {
  return (now.getTime() - Date.parse(at)) / dayMilliseconds;
}

function ago(at: string, now: Date): string {
  const days = Math.floor(daysSince(at, now));
  if (!Number.isFinite(days)) return text(at);
  if (days < 0) return 'in the future';
  return days === 0 ? 'today' : days === 1 ? 'yesterday' : `${days} days ago`;
}

/** Threat: a host’s receipt that writes into the page. No control characters, and nothing that HTML knows. */
function text(value: string | number | undefined): string {
  if (value === undefined) return '–';
  return printable(String(value))
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}
