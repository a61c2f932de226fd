/** A policy in words, for the person who wrote it: `check-policy`. Pure. */

import { sizeText } from '../size.ts';
import { allowedOperations } from './decide.ts';
import type { Trust } from './keyring.ts';
import type { CollectMode, FirstStart, HealthPolicy, Policy } from './policy.ts';
import { keyNameOf, type TrustedKey } from './trust.ts';
import { days, type Window } from './window.ts';

/** One sentence a line, in the order in which a bundle meets what they say. */
export function explainPolicy(policy: Policy): string[] {
  return [
    bindingText(policy),
    ...explainTrust(policy),
    ...limitTexts(policy),
    `An accepted bundle is ${policy.operation === 'switch' ? 'installed, and switched to at once' : 'installed for the next start'}.`,
    `By hand a person may ask for: ${allowedOperations(policy).join(', ')}.`,
    ...(policy.window === undefined ? [] : [`The agent installs only ${windowText(policy.window)}.`]),
    ...approvalTexts(policy),
    realiseText(policy),
    healthText(policy.health),
    bootText(policy),
    rebootText(policy),
    ...sourceTexts(policy),
    ...mediaTexts(policy),
    `Of what was taken the newest ${policy.retention.done} stay in the inbox, of what was refused the newest ${policy.retention.refused}.`,
    ...collectTexts(policy),
    policy.receipts.send
      ? 'Receipts are written to the media that bring bundles.'
      : 'No receipts are written to media.',
  ];
}

const collectWhen: Readonly<Record<CollectMode, string>> = {
  never: 'nixmaker never deletes generations and never collects garbage.',
  'when-needed':
    'Where an update finds no room, old generations are deleted and garbage is collected, as much as it needs.',
  'after-commit':
    'After each commit, and where an update finds no room, old generations are deleted and garbage is collected.',
};

function collectTexts({ collect, retention }: Policy): string[] {
  if (collect === 'never') return [collectWhen.never];
  const { generations, generationDays } = retention;
  const young = generationDays === 0 ? '' : `, and all that are younger than ${generationDays} days`;
  return [
    collectWhen[collect],
    `The newest ${generations} generations stay, the one being installed among them${young}; so do those that run, were started, wait, are held, or would be gone back to.`,
  ];
}

function bindingText({ host, machineId }: Policy): string {
  const bound = machineId === undefined ? '' : `, also if they are bound to the machine id ${machineId}`;
  return `Bundles of the host “${host}” are taken${bound}.`;
}

/** Whose signatures count. */
export function explainTrust({ trustedKeys, threshold, roles }: Trust): string[] {
  const keys = trustedKeys.map(keyText);
  const needed = threshold === 1 ? 'one' : String(threshold);
  return [
    keys.length === 1
      ? `The key ${keys[0]} must have signed them.`
      : `At least ${needed} of these keys must have signed them: ${keys.join('; ')}.`,
    ...Object.entries(roles).map(([role, count]) => `Among them ${count} with the role “${role}”.`),
  ];
}

function keyText(key: TrustedKey): string {
  const uses = [
    ...(key.roles.length === 0 ? [] : [key.roles.join(' and ')]),
    ...(key.notBefore === undefined ? [] : [`from ${key.notBefore}`]),
    ...(key.notAfter === undefined ? [] : [`until ${key.notAfter}`]),
  ];
  return uses.length === 0 ? `“${keyNameOf(key)}”` : `“${keyNameOf(key)}” (${uses.join(', ')})`;
}

const tooLargeToSay = 1024 ** 4;

const firstStartTexts: Readonly<Record<FirstStart, string>> = {
  'one-generation':
    'Without a floor the machine counts as new where no record of one is there, and no generation after the first.',
  'no-record': 'Without a floor the machine counts as new where no record of one is there.',
};

function limitTexts({ firstStart, limits, minimumSequence }: Policy): string[] {
  const sizes = (
    [
      ['bundleBytes', 'A bundle may have'],
      ['narBytes', 'One store path may have'],
      ['closureBytes', 'All store paths together may have'],
    ] as const
  ).flatMap(([name, text]) => (limits[name] >= tooLargeToSay ? [] : [`${text} ${sizeText(limits[name])}.`]));
  const jump =
    limits.sequenceJump === Number.MAX_SAFE_INTEGER
      ? []
      : [`A sequence may be at most ${limits.sequenceJump} ahead of the last one taken.`];
  const days = limits.createdAhead / 86_400;
  const ahead = `A signed time may be at most ${days >= 1 ? `${Math.floor(days)} days` : `${limits.createdAhead} seconds`} ahead of the clock.`;
  const least = minimumSequence === 0 ? [] : [`No sequence below ${minimumSequence} is taken.`];
  return [
    ...sizes,
    ...least,
    ...jump,
    ahead,
    `In the file systems of the store and of what is unpacked on the way ${sizeText(limits.freeBytes)} stay free.`,
    firstStartTexts[firstStart],
  ];
}

function windowText({ days: chosen, from, to, timeZone }: Window): string {
  const nextDay = to <= from ? ' on the day after' : '';
  const when = days.every((day) => chosen.includes(day)) ? 'every day' : `on ${chosen.join(', ')}`;
  return `${when} from ${from} to ${to}${nextDay} (${timeZone})`;
}

function approvalTexts({ approval }: Policy): string[] {
  if (approval === undefined) return [];
  return [
    `Before the agent installs, “${approval.command.join(' ')}” must exit with 0 within ${approval.timeout} seconds.`,
  ];
}

function realiseText({ realise }: Policy): string {
  if (realise === 'never-build') return 'What a bundle does not carry must be in the store already.';
  const fetched = 'What a bundle does not carry may be fetched from the caches that Nix is set up with';
  return realise === 'substitute' ? `${fetched}; nothing is built.` : `${fetched}, or built.`;
}

function healthText(health: HealthPolicy | undefined): string {
  if (health === undefined)
    return 'There are no health checks: a system that was switched to without an error counts as well.';
  const looks = [
    ...(health.units.length === 0 ? [] : [`the units ${health.units.join(', ')} must be active`]),
    ...health.commands.map((argv) => `“${argv.join(' ')}” must exit with 0`),
    ...health.tcp.map(({ host, port }) => `${host}:${port} must take a connection`),
    ...(health.noNewFailedUnits ? ['no unit may have failed that had not failed before'] : []),
    ...(health.systemRunning ? ['systemd must have started everything'] : []),
  ];
  const tries = health.retries + 1;
  return `After ${health.settle} seconds ${looks.join(', ')}, at the latest at look ${tries}; otherwise the previous system comes back.`;
}

function bootText({ boot }: Policy): string {
  return boot.confirm === 'automatic'
    ? 'After a start into a new system the checks decide whether it stays.'
    : `After a start into a new system a person has ${boot.within} seconds to run \`nixmaker confirm\`, or the previous one comes back.`;
}

function rebootText({ reboot }: Policy): string {
  if (reboot.when === 'never') return 'nixmaker never restarts the machine.';
  const when = reboot.when === 'always' ? 'after every switch' : 'when what was installed needs it';
  const hours = reboot.window === undefined ? '' : `, ${windowText(reboot.window)}`;
  return `The machine is restarted ${when}, ${reboot.delay} seconds after the decision${hours}.`;
}

function sourceTexts({ sources }: Policy): string[] {
  const { inbox, media, labels, uuids, fileSystems, roots } = sources;
  const only = [
    ...(labels.length === 0 ? [] : [`the label ${labels.join(' or ')}`]),
    ...(uuids.length === 0 ? [] : [`the UUID ${uuids.join(' or ')}`]),
    ...(fileSystems.length === 0 ? [] : [`the file system ${fileSystems.join(' or ')}`]),
    ...(roots.length === 0 ? [] : [`a place below ${roots.join(' or ')}`]),
  ];
  return [
    inbox ? 'Bundles are taken from the inbox.' : 'Nothing is taken from the inbox.',
    ...(media ? [] : ['Nothing is taken from media.']),
    ...(media && only.length > 0 ? [`Of media only those with ${only.join(', and ')} are looked at.`] : []),
  ];
}

function mediaTexts({ media }: Policy): string[] {
  const labels = media.labels.length === 0 ? 'any label' : `the label ${media.labels.join(' or ')}`;
  return [
    ...(media.mount
      ? [`Media of ${labels} with ${media.fileSystems.join(', ')} are mounted, read-only.`]
      : ['nixmaker mounts no media by itself.']),
    ...media.folders.map((folder) => `The folder ${folder} is looked at like a medium.`),
  ];
}
