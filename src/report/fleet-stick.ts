/** The part of the fleet page that says what to carry next. */
import { sizeText } from '../core/size.ts';
import type { PageHost } from './fleet-condition.ts';
import { text } from './fleet-html.ts';

export function nextStick(hosts: readonly PageHost[]): string {
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

/** Anything not known to be there has to be carried. */
const isBehind = ({ available, floor, held, staged }: PageHost): boolean =>
  available !== undefined &&
  available.sequence > (floor ?? 0) &&
  available.sequence !== staged?.sequence &&
  !held.includes(available.sequence);

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
