/** How receipts are called on media and at the desk (docs/format.md §6). */
const namePattern = /^(?:[0-9]{1,16}|run-[0-9a-f]{12})\.json$/;

export const isReceiptName = (name: string): boolean => namePattern.test(name);
