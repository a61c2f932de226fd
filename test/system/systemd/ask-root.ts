/** Requests to root as an agent that was taken over would put them: every file of its own choice. */

import type { Signed } from '../../support/signed-parts.ts';
import { bed } from './scene.ts';

export { type Signed, signedParts } from '../../support/signed-parts.ts';

export async function putRequest(
  folder: 'requests' | 'visits' | 'vouchers',
  request: { readonly transaction: string; readonly [field: string]: unknown },
  files: Partial<Signed>,
): Promise<void> {
  const place = `/run/nixmaker/${folder}`;
  const { transaction } = request;
  await bed.sh('install -d -o nixmaker -g nixmaker -m 700 "$1"', place);
  for (const [kind, bytes] of [...Object.entries(files), ['json', JSON.stringify(request)] as const]) {
    await bed.write(`${place}/.new`, bytes, '0600');
    await bed.sh('chown nixmaker: "$1/.new"; mv "$1/.new" "$1/$2"', place, `${transaction}.${kind}`);
  }
}

export interface Answer {
  readonly state: string;
  readonly code: string;
  readonly detail: string;
}

/** Root’s receipt, once it is there. */
export async function receiptOf(transaction: string): Promise<Answer> {
  const file = `/var/lib/nixmaker/activation/receipts/${transaction}.json`;
  await bed.until('test -e "$1"', file);
  return JSON.parse(await bed.sh('cat "$1"', file)) as Answer;
}
