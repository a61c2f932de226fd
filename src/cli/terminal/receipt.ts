/** A receipt at the terminal: its first line coloured by outcome, its time in this machine’s zone. */
import { splitFirst } from '../../core/lines.ts';
import { type Receipt, receiptText } from '../../core/run/receipt.ts';
import { type Style, styled } from '../../core/style.ts';
import { localSecond } from '../../report/local-time.ts';
import { wrapped } from '../../report/tables.ts';
import { columns, print } from './output.ts';

const styles: Readonly<Record<string, Style>> = {
  committed: 'good',
  pending: 'waits',
  superseded: 'waits',
  deferred: 'waits',
  refused: 'bad',
  failed: 'bad',
  'rolling-back': 'bad',
  'rolled-back': 'bad',
};

/** By a run’s state. */
export const styleOfState = (state: string): Style | undefined =>
  Object.hasOwn(styles, state) ? styles[state] : undefined;

export function printReceipt(receipt: Receipt): void {
  const [head, rest] = splitFirst(receiptText({ ...receipt, at: localSecond(receipt.at) }));
  print(styled(styleOfState(receipt.state), head));
  const width = columns();
  print(width === undefined ? rest : wrapped(rest, width));
}
