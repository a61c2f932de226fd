/**
 * The end of a visit: nothing is left to do on the medium, so receipts are written to it and a person is told that it may be removed. The
 * agent asks and root does it: the key and the right to write to media are root’s.
 */
import { basename, join } from 'node:path';
import { poolFolder } from '../../core/bundle/pool-folder.ts';
import { catalogue } from '../../core/catalogue.ts';
import { messageOf, NixmakerError } from '../../core/errors.ts';
import {
  claimText,
  type HostReceipt,
  hostReceiptParser,
  hostReceiptType,
  type ReceiptRun,
} from '../../core/run/host-receipt.ts';
import { type Receipt, receiptText } from '../../core/run/receipt.ts';
import { type Delivery, deliver } from '../../media/deliver.ts';
import { probeDevice, whileWritable } from '../../media/mount.ts';
import { openEnvelope } from '../../signing/envelope.ts';
import { listOutbox, readFromOutbox, removeFromOutbox } from '../../state/outbox.ts';
import { type VisitFile, visitRequests } from '../../state/requests.ts';
import type { Machine, RootMachine } from '../machine/machine.ts';
import { listPlaces, type Place } from '../machine/places.ts';
import { type LastRun, tellPeople } from './console.ts';
import { runsAtRest, writeReceipts } from './host-receipts.ts';
import { serveAll } from './serve-requests.ts';

/** What nixmaker-receipts.service does: serves the agent’s requests until none is left. */
export function serveVisits(machine: RootMachine): Promise<void> {
  return serveAll(machine, visitRequests, async (visit, { acknowledge }) => {
    await acknowledge();
    await serveVisit(machine, visit);
  });
}

/** If the medium can’t be written to, the receipts wait for the next one; whatever happens, a person is told. */
export async function serveVisit(
  machine: RootMachine,
  { place: root, findings, runs, ageRecipients, without, parts }: VisitFile,
): Promise<void> {
  // The agent’s word on where the medium is counts only if there is one.
  const place = (await listPlaces(machine)).find((p) => p.root === root && !p.isDangerous);
  if (place === undefined) {
    machine.emit({ event: 'medium-gone', level: 'warn', place: root });
    return;
  }
  // Nothing is written to it, and it stays mounted as it is: read-only, which does no harm when it is pulled out.
  if (without !== undefined) return tellPeople(machine, { place, without });
  const { send } = machine.policy.receipts;
  const outcome = send ? await sendReceipts(machine, place, { findings, runs, ageRecipients }) : undefined;
  if (!send && place.kind === 'own') await stopUnit(machine, place);
  const last = await lastOf(machine, runs);
  const passedOver = passedOverOf(machine, findings);
  await tellPeople(machine, { place, last, passedOver, problem: outcome, parts });
}

/** Of the newest there; older ones lie on many a stick, expired or signed by keys of then, and are nobody’s concern. */
function passedOverOf(
  { policy }: Pick<Machine, 'policy'>,
  findings: VisitFile['findings'],
): string | undefined {
  const own = `${poolFolder}/hosts/${policy.host}/`;
  const sequenceOf = ({ file }: { readonly file: string }) => Number(file.slice(own.length));
  const [newest] = findings
    .filter(({ file }) => file.startsWith(own))
    .sort((a, b) => sequenceOf(b) - sequenceOf(a));
  const isTold = newest !== undefined && ['unusable', 'refuse'].includes(newest.outcome);
  return isTold && newest.code !== 'sequence-older' ? newest.code : undefined;
}

/** What became of the last bundle: by root’s own journal or, if that does not know it, by the agent’s word. */
async function lastOf(machine: Machine, runs: readonly ReceiptRun[]): Promise<LastRun | undefined> {
  const said = runs.at(-1);
  if (said === undefined) return undefined;
  const known = (await runsAtRest(machine)).find((r) => r.transaction === said.transaction);
  return known === undefined ? { run: said, says: 'agent' } : { run: known, says: 'root' };
}

async function sendReceipts(
  machine: Machine,
  place: Place,
  { findings, runs, ageRecipients }: Pick<VisitFile, 'findings' | 'runs' | 'ageRecipients'>,
): Promise<NixmakerError | undefined> {
  try {
    await writeReceipts(machine, { findings, claimed: runs, ageRecipients });
    await deliverAll(machine, place);
    return undefined;
  } catch (error) {
    const problem = error instanceof NixmakerError ? error : new NixmakerError('internal', messageOf(error));
    const { code, detail } = problem;
    machine.emit({ event: 'receipts-wait', level: 'warn', place: place.root, code, detail });
    return problem;
  }
}

async function deliverAll(
  machine: Pick<Machine, 'emit' | 'floorDirectory' | 'policy' | 'run' | 'settings'>,
  place: Place,
): Promise<void> {
  await emptyOutbox(machine, place.root, (write) =>
    place.kind === 'own' ? whileOurs(machine, place, write) : write(place.root),
  );
}

/**
 * Takes to a medium whatever waits in the outbox, which loses it only then.
 * @param reach has the medium written to where it can be: it is told where
 */
export async function emptyOutbox(
  { floorDirectory, policy, emit }: Pick<Machine, 'emit' | 'floorDirectory' | 'policy'>,
  place: string,
  reach: (write: (root: string) => Promise<void>) => Promise<void>,
): Promise<void> {
  const files: Delivery[] = [];
  for (const name of await listOutbox(floorDirectory)) {
    const text = await readFromOutbox(floorDirectory, name);
    if (text !== undefined) files.push({ name, text });
  }
  const folders = [poolFolder, 'receipts', policy.host];
  // For people who open the stick on any computer: the same words as beside a bundle in the inbox.
  const reports = files.flatMap(reportOf);
  await reach((root) => deliver(root, folders, [...files, ...reports]));
  for (const { name, text } of files) await removeFromOutbox(floorDirectory, name, text);
  emit({ event: 'receipts-written', place, receipts: files.map((f) => f.name) });
}

/**
 * Undefined if its form is unknown to us: it comes from a newer nixmaker, from before the machine was rolled back to this one. It travels
 * home as it is, without our words; it must not keep any other receipt from travelling.
 */
function contentsOf(text: string): HostReceipt | undefined {
  try {
    const { payload } = openEnvelope(text, hostReceiptType);
    return hostReceiptParser.parse(JSON.parse(payload.toString('utf8')));
  } catch {
    return undefined;
  }
}

/** The report of one of our own receipts; a machine that has taken nothing yet has none. */
function reportOf({ name, text }: Delivery): Delivery[] {
  const { run, agentSays = [] } = contentsOf(text) ?? {};
  if (run === undefined && agentSays.length === 0) return [];
  const says = agentSays.map((claim) => `  ${claimText(claim)}\n`).join('');
  const texts = [
    ...(run === undefined ? [] : [runText(run)]),
    ...(says === '' ? [] : [`The agent’s report on bundles root has not seen:\n${says}`]),
  ];
  return [{ name: name.replace(/json$/, 'txt'), text: texts.join('\n') }];
}

function runText({ code, ...known }: ReceiptRun): string {
  const isKnown = code !== undefined && Object.hasOwn(catalogue, code);
  return receiptText({ ...known, schema: 1, ...(isKnown ? { code } : {}) } as Receipt);
}

/**
 * A medium that we mounted is unmounted, then mounted again where only we can see it, for as long as the writing takes. Afterwards it is
 * not mounted at all and may be pulled out.
 */
async function whileOurs(
  machine: Pick<Machine, 'policy' | 'run' | 'settings'>,
  place: Place,
  write: (root: string) => Promise<void>,
): Promise<void> {
  const { run, settings } = machine;
  const device = `/dev/${deviceOf(place)}`;
  await stopUnit(machine, place);
  const { fileSystem } = await probeDevice(run, device);
  const allowed = machine.policy.media.fileSystems.find((f) => f === fileSystem);
  if (allowed === undefined) throw new NixmakerError('medium-failing', `${device} can no longer be read`);
  const target = join(settings.media.writeDirectory, deviceOf(place));
  await whileWritable(run, { device, fileSystem: allowed, target }, () => write(target));
}

function deviceOf({ root }: Place): string {
  const name = basename(root);
  if (!/^[a-zA-Z0-9_-]+$/.test(name))
    throw new NixmakerError('internal', `${name} is not one of nixmaker’s devices`);
  return name;
}

async function stopUnit({ run }: Pick<Machine, 'run'>, place: Place): Promise<void> {
  await run('systemctl', ['stop', `nixmaker-medium@${deviceOf(place)}.service`], { timeout: 120_000 });
}
