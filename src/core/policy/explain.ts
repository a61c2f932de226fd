/** A policy in words, for the person who wrote it: `check-policy`. Pure. */

import { sizeText } from '../size.ts';
import { allowedOperations } from './decide.ts';
import { type HookName, hookNames } from './hooks.ts';
import type { Trust } from './keyring.ts';
import type { CollectMode, FirstStart, HealthPolicy, Policy, RepairMode } from './policy.ts';
import type { ServerSettings } from './servers.ts';
import { keyNameOf, type TrustedKey } from './trust.ts';
import { days, type Window } from './window.ts';

/** One sentence per line, in the order in which the rules apply to a bundle. */
export function explainPolicy(policy: Policy): string[] {
  return [
    bindingText(policy),
    ...explainTrust(policy),
    ...limitTexts(policy),
    `An accepted bundle is ${policy.operation === 'switch' ? 'installed and activated at once' : 'installed for the next start'}.`,
    `By hand, these operations are allowed: ${allowedOperations(policy).join(', ')}.`,
    ...(policy.window === undefined ? [] : [`The agent only installs ${windowText(policy.window)}.`]),
    ...approvalTexts(policy),
    stageText(policy),
    ...hookTexts(policy),
    realiseText(policy),
    healthText(policy.health),
    bootText(policy),
    rebootText(policy),
    ...sourceTexts(policy),
    ...mediaTexts(policy),
    ...policy.sources.servers.map(serverText),
    `The inbox keeps the newest ${policy.retention.done} bundles that were taken and the newest ${policy.retention.refused} that were refused.`,
    ...collectTexts(policy),
    repairWhen[policy.repair],
    policy.receipts.send
      ? 'Receipts are written to the media that bring bundles.'
      : 'No receipts are written to media.',
  ];
}

const collectWhen: Readonly<Record<CollectMode, string>> = {
  never: 'nixmaker never deletes old generations or collects garbage.',
  'when-needed':
    'If an update does not fit, nixmaker deletes old generations and garbage, but no more than it needs.',
  'after-commit':
    'After every commit, and whenever an update does not fit, nixmaker deletes old generations and garbage.',
};

function collectTexts({ collect, retention }: Policy): string[] {
  if (collect === 'never') return [collectWhen.never];
  const { generations, generationDays } = retention;
  const young = generationDays === 0 ? '' : `, and all that are younger than ${generationDays} days`;
  return [
    collectWhen[collect],
    `It keeps the newest ${generations} generations, counting the one being installed${young}. It always keeps a generation that is running, was booted, is pending or held, or is the one to roll back to.`,
  ];
}

const repairWhen: Readonly<Record<RepairMode, string>> = {
  never: 'nixmaker never reads through the store by itself to find damage.',
  report:
    'Once a week, the contents of this machine’s systems are read; damage is told in receipts and by `doctor`.',
  automatic:
    'Once a week, the contents of this machine’s systems are read; damage is told in receipts and by `doctor`, and repaired from any trusted bundle at hand.',
};

function bindingText({ host, machineId }: Policy): string {
  const bound = machineId === undefined ? '' : `, including those bound to machine id ${machineId}`;
  return `Bundles for host “${host}” are taken${bound}.`;
}

/** Whose signatures count. */
export function explainTrust({ trustedKeys, threshold, roles }: Trust): string[] {
  const keys = trustedKeys.map(keyText);
  const needed = threshold === 1 ? 'one' : String(threshold);
  return [
    keys.length === 1
      ? `They must be signed by ${keys[0]}.`
      : `They must be signed by at least ${needed} of these keys: ${keys.join('; ')}.`,
    ...Object.entries(roles).map(([role, count]) => `Of those, ${count} must have the role “${role}”.`),
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
    'With no floor, the machine counts as new if there is no record of one and at most one generation.',
  'no-record': 'With no floor, the machine counts as new if there is no record of one.',
};

function limitTexts({ firstStart, limits, minimumSequence }: Policy): string[] {
  const sizes = (
    [
      ['bundleBytes', 'A bundle may be at most'],
      ['narBytes', 'A single store path may be at most'],
      ['closureBytes', 'All store paths together may be at most'],
    ] as const
  ).flatMap(([name, text]) => (limits[name] >= tooLargeToSay ? [] : [`${text} ${sizeText(limits[name])}.`]));
  const jump =
    limits.sequenceJump === Number.MAX_SAFE_INTEGER
      ? []
      : [`A sequence may be at most ${limits.sequenceJump} above the last one taken.`];
  const days = limits.createdAhead / 86_400;
  const ahead = `A signed time may be at most ${days >= 1 ? `${Math.floor(days)} days` : `${limits.createdAhead} seconds`} ahead of the clock.`;
  const least = minimumSequence === 0 ? [] : [`Sequences below ${minimumSequence} are refused.`];
  return [
    ...sizes,
    ...least,
    ...jump,
    ahead,
    `The file systems of the store and the work folder always keep ${sizeText(limits.freeBytes)} free.`,
    firstStartTexts[firstStart],
  ];
}

function windowText({ days: chosen, from, to, timeZone }: Window): string {
  const nextDay = to <= from ? ' on the next day' : '';
  const when = days.every((day) => chosen.includes(day)) ? 'every day' : `on ${chosen.join(', ')}`;
  return `${when} from ${from} to ${to}${nextDay} (${timeZone})`;
}

function approvalTexts({ approval }: Policy): string[] {
  if (approval === undefined) return [];
  return [
    `Before the agent installs, “${approval.command.join(' ')}” must exit with 0 within ${approval.timeout} seconds.`,
  ];
}

function stageText({ stage }: Policy): string {
  if (!stage.allow) return 'A bundle that has to wait stays where it is until its time comes.';
  const room = stage.giveWay ? ', or if a newer one finds no room otherwise' : '';
  return `A bundle that has to wait is brought into the store at once and installed from there, so its medium may be removed. It is dropped after ${stage.days} days${room}.`;
}

const hookMeans: Readonly<Record<HookName, (command: string, seconds: number) => string>> = {
  before: (command, seconds) =>
    `Just before the system is changed, root runs “${command}” for up to ${seconds} seconds: exit code 0 goes on, 75 means not now, 79 that there is no way back; after anything else the bundle waits.`,
  after: (command, seconds) =>
    `After a commit, root runs “${command}” for up to ${seconds} seconds; what comes of it is only reported.`,
  rollBack: (command, seconds) =>
    `Before the previous system is restored, root runs “${command}” for up to ${seconds} seconds; if it fails, the rollback goes on.`,
};

function hookTexts({ hooks }: Policy): string[] {
  return hookNames.flatMap((name) => {
    const hook = hooks[name];
    return hook === undefined ? [] : [hookMeans[name](hook.command.join(' '), hook.timeout)];
  });
}

function realiseText({ realise }: Policy): string {
  if (realise === 'never-build') return 'Anything a bundle does not contain must already be in the store.';
  const fetched = 'Anything a bundle does not contain may be fetched from the caches Nix is configured with';
  return realise === 'substitute' ? `${fetched}; nothing is built.` : `${fetched}, or built.`;
}

function healthText(health: HealthPolicy | undefined): string {
  if (health === undefined)
    return 'There are no health checks: a system that switches without an error counts as healthy.';
  const looks = [
    ...(health.units.length === 0 ? [] : [`the units ${health.units.join(', ')} must be active`]),
    ...health.commands.map((argv) => `“${argv.join(' ')}” must exit with 0`),
    ...health.tcp.map(({ host, port }) => `${host}:${port} must accept a connection`),
    ...(health.noNewFailedUnits ? ['no unit may have newly failed'] : []),
    ...(health.systemRunning ? ['systemd must have started everything'] : []),
  ];
  const tries = health.retries + 1;
  return `After ${health.settle} seconds, ${looks.join(', ')}, within ${tries === 1 ? 'one attempt' : `${tries} attempts`}; otherwise the previous system is restored.`;
}

function bootText({ boot }: Policy): string {
  return boot.confirm === 'automatic'
    ? 'After a restart into a new system, the health checks decide whether it stays.'
    : `After a restart into a new system, someone must run \`nixmaker confirm\` within ${boot.within} seconds; otherwise the previous system is restored.`;
}

function rebootText({ reboot }: Policy): string {
  if (reboot.when === 'never') return 'nixmaker never restarts the machine.';
  const when = reboot.when === 'always' ? 'after every switch' : 'when the installed system needs it';
  const hours = reboot.window === undefined ? '' : `, ${windowText(reboot.window)}`;
  return `The machine is restarted ${when}, ${reboot.delay} seconds after the decision${hours}.`;
}

function sourceTexts({ sources }: Policy): string[] {
  const { inbox, media, labels, uuids, fileSystems, roots } = sources;
  const only = [
    ...(labels.length === 0 ? [] : [`the label ${labels.join(' or ')}`]),
    ...(uuids.length === 0 ? [] : [`the UUID ${uuids.join(' or ')}`]),
    ...(fileSystems.length === 0 ? [] : [`the file system ${fileSystems.join(' or ')}`]),
    ...(roots.length === 0 ? [] : [`a mount point below ${roots.join(' or ')}`]),
  ];
  return [
    inbox ? 'Bundles are taken from the inbox.' : 'Nothing is taken from the inbox.',
    ...(media ? [] : ['Nothing is taken from media.']),
    ...(media && only.length > 0 ? [`Only media with ${only.join(', and ')} are used.`] : []),
  ];
}

function mediaTexts({ media }: Policy): string[] {
  const labels = media.labels.length === 0 ? 'any label' : `the label ${media.labels.join(' or ')}`;
  return [
    ...(media.mount
      ? [`Media with ${labels} and file system ${media.fileSystems.join(', ')} are mounted read-only.`]
      : ['nixmaker does not mount media itself.']),
    ...media.folders.map((folder) => `The folder ${folder} is treated like a medium.`),
  ];
}

function serverText({ url, proxy, bytesPerSecond }: ServerSettings): string {
  const ways = [
    ...(proxy === undefined ? [] : [`through ${proxy}`]),
    ...(bytesPerSecond === undefined ? [] : [`at no more than ${sizeText(bytesPerSecond)} a second`]),
  ];
  return `nixmaker fetch copies releases from ${[url, ...ways].join(', ')}.`;
}
