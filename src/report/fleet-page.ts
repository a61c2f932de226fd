/**
 * The fleet as one page of HTML that needs nothing else: no script, no font, no network. For a phone, a printer, a dark room, a
 * keyboard and a screen reader. Everything in it came from outside, and is escaped.
 */
import { alike, namesText, naturally } from '../core/alike.ts';
import { catalogue } from '../core/catalogue.ts';
import { printable } from '../core/errors.ts';
import { outcomeText } from '../core/run/state-words.ts';
import { sizeText } from '../core/size.ts';
import {
  type Condition,
  conditions,
  conditionWords,
  daysSince,
  goodStates,
  type JudgedBy,
  type Judgement,
  judgeHost,
  type PageHost,
  type PageRun,
} from './fleet-condition.ts';
import { fleetStyle } from './fleet-style.ts';

export interface FleetPage extends JudgedBy {
  readonly hosts: readonly PageHost[];
  /** Names of hosts that are no more. */
  readonly retired: readonly string[];
}

/** After a number. */
const countWords = (condition: Condition, count: number): string =>
  condition === 'unwell' && count !== 1 ? 'need attention' : conditionWords[condition];

const hostCount = (count: number): string => (count === 1 ? '1 host' : `${count} hosts`);

export function renderFleetPage(page: FleetPage): string {
  const hosts = page.hosts
    .map((host) => ({ host, ...judgeHost(host, page) }))
    .sort(
      (a, b) =>
        conditions.indexOf(a.condition) - conditions.indexOf(b.condition) ||
        naturally(whyOf(a), whyOf(b)) ||
        naturally(a.host.host, b.host.host),
    );
  const count = (condition: Condition) => hosts.filter((h) => h.condition === condition).length;
  const summary = conditions
    .map((c) => `<li class="${c}"><b>${count(c)}</b> ${countWords(c, count(c))}</li>`)
    .join('');
  const when = page.now.toISOString().slice(0, 16).replace('T', ' ');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="color-scheme" content="light dark">
<title>Fleet: ${hostCount(hosts.length)}, ${count('unwell')} ${countWords('unwell', count('unwell'))}</title>
<style>
${fleetStyle}</style>
</head>
<body>
<a class="skip" href="#hosts">To the hosts</a>
<header>
<h1>Fleet</h1>
<p>${hostCount(hosts.length)}, from receipts collected up to <time datetime="${page.now.toISOString()}">${when} UTC</time>.</p>
<ul class="summary" aria-label="Hosts by condition">${summary}</ul>
${page.retired.length === 0 ? '' : `<p>Retired: ${page.retired.map(text).join(', ')}.</p>\n`}</header>
<main id="hosts">
${hostsTable(hosts, page)}
${inCommon(hosts)}${nextStick(page.hosts)}
<section aria-labelledby="details"><h2 id="details">Details</h2>
${hosts.map(details).join('\n')}
</section>
</main>
<footer><p>Written by nixmaker. “Collected” is this desk’s time; runs have the hosts’ own clocks. All times are UTC.</p></footer>
</body>
</html>
`;
}

interface Row extends Judgement {
  readonly host: PageHost;
}

const whyOf = ({ reasons }: Judgement): string => reasons.join(' ');

/** What several hosts have in common is one thing to look into. */
function inCommon(rows: readonly Row[]): string {
  const groups = alike(
    rows.filter(({ reasons }) => reasons.length > 0),
    (row) => `${row.condition} ${whyOf(row)}`,
  ).filter((group) => group.length > 1);
  if (groups.length === 0) return '';
  const items = groups.map((group) => {
    const names = namesText(group.map(({ host }) => host.host));
    return `<li><b>${group.length} hosts</b>: ${text(whyOf(group[0]))} ${text(names)}.</li>`;
  });
  return `<section aria-labelledby="common"><h2 id="common">Seen on several hosts</h2><ul>${items.join('')}</ul></section>\n`;
}

function hostsTable(rows: readonly Row[], page: FleetPage): string {
  if (rows.length === 0) return '<p>No hosts yet: no receipts have been collected.</p>';
  const heads = [
    'Host',
    'Condition',
    'Release',
    'Floor',
    'Last run',
    'NixOS',
    'Failed units',
    'Free',
    'Collected',
    'Runs',
  ];
  const body = rows.map(({ host, condition }) => {
    const last = host.runs.at(-1);
    const cells = [
      `<span class="badge ${condition}">${conditionWords[condition]}</span>`,
      text(host.release),
      text(host.floor),
      last === undefined ? (host.heard ? 'none' : unknown) : text(outcomeText(last)),
      text(host.versions.nixos),
      text(host.failedUnits?.length),
      host.freeBytes === undefined ? unknown : text(sizeText(host.freeBytes)),
      ago(host.collected, page.now),
      trend(host.runs),
    ];
    const name = `<th scope="row"><a href="#host-${text(host.host)}">${text(host.host)}</a></th>`;
    const rest = cells.map((cell, i) => `<td data-label="${heads[i + 1]}">${cell}</td>`).join('');
    return `<tr>${name}${rest}</tr>`;
  });
  return `<div class="scroll" role="region" aria-labelledby="table-title" tabindex="0">
<table><caption id="table-title">Hosts, most urgent first</caption>
<thead><tr>${heads.map((h) => `<th scope="col">${h}</th>`).join('')}</tr></thead>
<tbody>
${body.join('\n')}
</tbody></table></div>`;
}

/** The last runs as bars, newest at the right: tall and filled went well, short and hollow did not. */
function trend(runs: readonly PageRun[]): string {
  const shown = runs.slice(-10);
  if (shown.length === 0) return '–';
  const well = shown.filter((r) => goodStates.has(r.state)).length;
  const bars = shown.map((run, i) => {
    const ok = goodStates.has(run.state);
    return `<rect class="${ok ? 'ok' : 'no'}" x="${i * 8 + 1}" y="${ok ? 1 : 9}" width="5" height="${ok ? 14 : 6}"/>`;
  });
  return `<svg class="trend" role="img" aria-label="${well} of the last ${shown.length} runs succeeded" viewBox="0 0 80 16" width="80" height="16">${bars.join('')}</svg>`;
}

function nextStick(hosts: readonly PageHost[]): string {
  const compared = hosts.filter((h) => h.available !== undefined);
  if (compared.length === 0) return '';
  const items = compared.flatMap((host) => {
    const wanted = wish(host);
    return wanted === undefined ? [] : [`<li><b>${text(host.host)}</b>: ${wanted}</li>`];
  });
  const behind = compared.filter(isBehind);
  const size = behind.reduce((sum, h) => sum + (h.available?.bytes ?? 0), 0);
  const sum = `<p>${behind.length} bundles, at most ${text(sizeText(size))}; less with <code>nixmaker put</code>, which stores shared files once.</p>`;
  const without = hosts.length - compared.length;
  const rest = without === 0 ? '' : `<p>No bundle here for ${without} more.</p>`;
  const said =
    items.length > 0
      ? `${sum}<ul>${items.join('')}</ul>${rest}`
      : rest === ''
        ? '<p>Nothing: every host has its newest bundle.</p>'
        : `<p>Nothing: every host with a bundle here has it.</p>${rest}`;
  return `<section aria-labelledby="next"><h2 id="next">For the next stick</h2>${said}</section>`;
}

/** What is not known to be there has to be carried. */
const isBehind = ({ available, floor, held }: PageHost): boolean =>
  available !== undefined && available.sequence > (floor ?? 0) && !held.includes(available.sequence);

function wish(host: PageHost): string | undefined {
  const { available, floor, heard, held } = host;
  if (available !== undefined && held.includes(available.sequence))
    return `holds ${text(available.sequence)}, the newest here: build a newer one, or free it at the machine`;
  if (isBehind(host)) {
    const has = floor !== undefined ? `has ${text(floor)}` : heard ? 'has none' : 'has an unknown one';
    return `${has}, gets ${text(available?.sequence)}`;
  }
  if (available !== undefined && floor !== undefined && available.sequence < floor)
    return `has ${text(floor)}, and will refuse ${text(available.sequence)}, the newest here: build with <code>--sequence ${text(floor)}</code>`;
  return undefined;
}

function details({ host: page, condition, reasons }: Row): string {
  const { host, runs, detail, versions, failedUnits, collected, at, former } = page;
  const last = runs.at(-1);
  const entry =
    last?.code !== undefined && Object.hasOwn(catalogue, last.code)
      ? catalogue[last.code as keyof typeof catalogue]
      : undefined;
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['Why', reasons.join(' ')],
    ['What happened', entry?.what],
    ['Detail', detail],
    ['Next', entry?.next],
    [
      'Failed units',
      failedUnits === undefined || failedUnits.length === 0 ? undefined : failedUnits.join(', '),
    ],
    ['Kernel', versions.kernel],
    ['nixmaker', versions.nixmaker],
    ['Collected', collected ?? unknown],
    ['Host’s clock', at],
    ['Replaced', former.join('; ')],
  ];
  const list = rows.flatMap(([label, value]) =>
    value === undefined || value === '' ? [] : [`<dt>${label}</dt><dd>${text(value)}</dd>`],
  );
  const history = runs
    .slice(-10)
    .reverse()
    .map(
      (r) =>
        `<li>${text(r.at.slice(0, 16).replace('T', ' '))}: ${text(outcomeText(r))}${r.sequence === undefined ? '' : `, sequence ${text(r.sequence)}`}</li>`,
    );
  const open = condition === 'unwell' || condition === 'unknown' ? ' open' : '';
  return `<details id="host-${text(host)}"${open}><summary>${text(host)} <span class="badge ${condition}">${conditionWords[condition]}</span></summary><dl>${list.join('')}</dl>${history.length === 0 ? '' : `<h3>Last runs</h3><ol>${history.join('')}</ol>`}${claims(page.agentSays)}</details>`;
}

function claims(says: PageHost['agentSays']): string {
  if (says.length === 0) return '';
  const items = says.map((claim) => `<li>${text(claim.text)}</li>`).join('');
  return `<h3>Reported by its agent, unverified by root</h3><ul>${items}</ul>`;
}

function ago(at: string | undefined, now: Date): string {
  const days = daysSince(at, now);
  if (days === undefined) return unknown;
  const whole = Math.max(0, Math.floor(days));
  const words = whole === 0 ? 'today' : whole === 1 ? 'yesterday' : `${whole} days ago`;
  return `<time datetime="${text(at)}">${days < -1 ? 'in the future' : words}</time>`;
}

const unknown = 'unknown';

/** Threat: a host’s receipt that writes into the page. No control characters, and nothing that HTML knows. */
function text(value: string | number | undefined): string {
  if (value === undefined) return unknown;
  return printable(String(value))
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}
