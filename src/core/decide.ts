/** The decision: one pure function from what is known to a verdict. It never throws and reads no clock. */
import type { DeferCode, PolicyCode } from './errors.ts';
import type { Manifest } from './manifest.ts';
import type { Policy } from './policy.ts';
import type { Operation } from './schema.ts';

/** The newest bundle this machine has committed to; nothing older is taken (DESIGN §8). */
export interface Floor {
  readonly sequence: number;
  /** sha256 of the manifest's bytes, hexadecimal. */
  readonly manifestDigest: string;
}

export interface PendingSystem extends Floor {
  readonly operation: Operation;
  /** The machine was restarted since, and the system has yet to be judged. */
  readonly restarted: boolean;
}

export interface Facts {
  readonly manifestDigest: string;
  /** Nix system of this machine. */
  readonly system: string;
  /** machine-id(5), where the machine has one. */
  readonly machineId: string | undefined;
  readonly floor: Floor | undefined;
  /** The system that is installed and waits for a restart, or to be confirmed after one. */
  readonly pending: PendingSystem | undefined;
  /** Digests of manifests whose activation failed here. */
  readonly failedDigests: ReadonlySet<string>;
  readonly operation: Operation;
  /** Whether the machine runs (or will boot) the manifest's toplevel already. */
  readonly toplevelInPlace: boolean;
  /** RFC 3339; judged against `expiresAt`. */
  readonly now: string;
}

export type Verdict =
  | { readonly verdict: 'accept' }
  /** The bundle is the one this machine has committed to: success, nothing to do. */
  | { readonly verdict: 'already-committed' }
  /** The bundle is the one that waits for a restart: success, nothing to do. */
  | { readonly verdict: 'already-pending' }
  | { readonly verdict: 'defer'; readonly code: DeferCode; readonly detail: string }
  | { readonly verdict: 'refuse'; readonly code: PolicyCode; readonly detail: string };

const refuse = (code: PolicyCode, detail: string): Verdict => ({ verdict: 'refuse', code, detail });

/** Checks in the order of docs/format.md §4; the first that fails names the reason. */
export function decide(manifest: Manifest, facts: Facts, policy: Policy): Verdict {
  return (
    checkBinding(manifest, facts, policy) ??
    checkOperation(facts, policy) ??
    checkExpiry(manifest, facts) ??
    checkFloor(manifest, facts) ??
    checkPending(manifest, facts) ?? { verdict: 'accept' }
  );
}

function checkBinding(manifest: Manifest, facts: Facts, policy: Policy): Verdict | undefined {
  if (manifest.host !== policy.host) {
    return refuse('wrong-host', `the bundle is for ${manifest.host}, this machine is ${policy.host}`);
  }
  if (manifest.system !== facts.system) {
    return refuse('wrong-system', `the bundle is for ${manifest.system}, this machine is ${facts.system}`);
  }
  if (manifest.machineId !== undefined && manifest.machineId !== facts.machineId) {
    return refuse('wrong-machine', `the bundle is bound to machine id ${manifest.machineId}`);
  }
  return undefined;
}

function checkOperation(facts: Facts, policy: Policy): Verdict | undefined {
  const allowed = allowedOperations(policy);
  if (allowed.includes(facts.operation)) return undefined;
  return refuse(
    'operation-forbidden',
    `${facts.operation} was asked for, the policy allows ${allowed.join(', ')}`,
  );
}

/** Operations the policy allows. Without a list: its own operation, and those that change nothing for good. */
export function allowedOperations(policy: Policy): readonly Operation[] {
  return [
    ...new Set<Operation>([policy.operation, ...(policy.operations ?? ['boot', 'test', 'dry-activate'])]),
  ];
}

function checkExpiry(manifest: Manifest, facts: Facts): Verdict | undefined {
  if (manifest.expiresAt === undefined || Date.parse(facts.now) < Date.parse(manifest.expiresAt))
    return undefined;
  return refuse('expired', `it expired at ${manifest.expiresAt}, it is now ${facts.now}`);
}

function checkFloor(manifest: Manifest, facts: Facts): Verdict | undefined {
  const { floor, manifestDigest } = facts;
  if (facts.failedDigests.has(manifestDigest)) {
    return refuse('failed-before', `sequence ${manifest.sequence} was tried before and failed`);
  }
  if (floor === undefined || manifest.sequence > floor.sequence) return undefined;
  if (manifest.sequence < floor.sequence) {
    return refuse(
      'sequence-older',
      `it has sequence ${manifest.sequence}, this machine has taken ${floor.sequence}`,
    );
  }
  if (manifestDigest !== floor.manifestDigest) {
    return refuse('sequence-conflict', `sequence ${manifest.sequence} was taken with other contents`);
  }
  // The same bundle again. Trying it out, or putting it back in place after a local change, is work to do.
  const changesNothing = facts.operation === 'test' || facts.operation === 'dry-activate';
  return facts.toplevelInPlace && !changesNothing ? { verdict: 'already-committed' } : undefined;
}

/** What is installed but not committed holds the place of a floor, until it is judged. */
function checkPending(manifest: Manifest, facts: Facts): Verdict | undefined {
  const { pending, manifestDigest, operation } = facts;
  if (pending === undefined) return undefined;
  if (pending.restarted) {
    const detail = `sequence ${pending.sequence} was started into and has not been confirmed yet`;
    return { verdict: 'defer', code: 'unconfirmed', detail };
  }
  if (manifest.sequence < pending.sequence) {
    const detail = `it has sequence ${manifest.sequence}, and ${pending.sequence} is installed for the next start`;
    return refuse('sequence-older', detail);
  }
  if (manifestDigest !== pending.manifestDigest) {
    if (manifest.sequence > pending.sequence) return undefined;
    return refuse('sequence-conflict', `sequence ${manifest.sequence} is installed with other contents`);
  }
  // Somebody may want to run at once, or to try, what was installed for the next start.
  const isDone = operation === 'boot' || (operation === 'switch' && pending.operation === 'switch');
  return isDone ? { verdict: 'already-pending' } : undefined;
}
