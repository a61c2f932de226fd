/** All that is driven by the fuzzer. */
import { answerTargets } from './targets/answers.ts';
import { archiveTargets } from './targets/archives.ts';
import { bundleTargets } from './targets/bundle.ts';
import { fileTargets } from './targets/files.ts';
import { releaseTargets } from './targets/release.ts';
import { listTargets } from './targets/signed-lists.ts';
import { signingTargets } from './targets/signing.ts';
import { stateTargets } from './targets/state.ts';
import type { Target } from './targets/target.ts';

export const targets: readonly Target[] = [
  ...releaseTargets,
  ...signingTargets,
  ...listTargets,
  ...bundleTargets,
  ...archiveTargets,
  ...stateTargets,
  ...fileTargets,
  ...answerTargets,
];
