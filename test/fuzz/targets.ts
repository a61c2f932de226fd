/** All that is driven by the fuzzer. */
import { answerTargets } from './targets/answers.ts';
import { bundleTargets } from './targets/bundle.ts';
import { releaseTargets } from './targets/release.ts';
import { signingTargets } from './targets/signing.ts';
import { stateTargets } from './targets/state.ts';
import type { Target } from './targets/target.ts';

export const targets: readonly Target[] = [
  ...releaseTargets,
  ...signingTargets,
  ...bundleTargets,
  ...stateTargets,
  ...answerTargets,
];
