/**
 * Loaded into a nixmaker before anything else (NODE_OPTIONS=--import): its wall clock stands where NIXMAKER_TEST_CLOCK says, or
 * jumps with every look, for `jumping`. Its monotonic clock goes on as ever, as on a machine whose clock is set.
 */
const wanted = process.env.NIXMAKER_TEST_CLOCK;
const RealDate = Date;
const started = RealDate.now();
const places = ['1970-01-01T00:00:05Z', '2099-06-01T00:00:00Z', '2026-11-26T12:00:00Z'].map((t) =>
  Date.parse(t),
);
let looks = 0;

function now(): number {
  if (wanted === undefined) return RealDate.now();
  if (wanted !== 'jumping') return Date.parse(wanted) + (RealDate.now() - started);
  looks += 1;
  return places[looks % places.length] as number;
}

globalThis.Date = class extends RealDate {
  constructor(...args: readonly unknown[]) {
    if (args.length === 0) super(now());
    else super(...(args as [number]));
  }
  static override now(): number {
    return now();
  }
} as DateConstructor;
