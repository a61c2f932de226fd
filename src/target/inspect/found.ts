/** What one check of `doctor` has found. */
export interface Diagnosis {
  readonly check: string;
  /** `bad`: no bundle can be taken, or not safely. `look`: it works, but somebody should know. */
  readonly verdict: 'ok' | 'look' | 'bad';
  readonly what: string;
  /** What to do, if anything. */
  readonly next?: string;
}

export type Found = Omit<Diagnosis, 'check'>;

export const ok = (what: string): Found => ({ verdict: 'ok', what });
export const look = (what: string, next: string): Found => ({ verdict: 'look', what, next });
export const bad = (what: string, next: string): Found => ({ verdict: 'bad', what, next });
