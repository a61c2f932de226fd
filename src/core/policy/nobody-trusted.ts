/** Replaces an unreadable policy: nobody is trusted, nothing is required, nothing restarts the machine. */
import { type Policy, policyParser } from './policy.ts';

/** For undoing only: no bundle can be taken under it. */
export const nobodyTrusted: Policy = {
  ...policyParser.parse({ schema: 1, host: 'unknown', operation: 'boot', trustedKeys: ['nobody:'] }),
  trustedKeys: [] as never,
};
