/**
 * Whatever reads what others wrote is met by the fuzzer. Readers are told by their names: `parse…`, `read…`, `decode…`, `open…`,
 * `verify…`, `peek…` and a few more, exported, in the folders where bytes come in. A new one gets a target, or a line below that says what it
 * hands its bytes to.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { targets } from '../fuzz/targets.ts';

const checkout = new URL('../..', import.meta.url).pathname;
const folders = ['core', 'signing', 'bundle', 'state', 'nix', 'media', 'desk/fleet', 'desk/keys'];
const reader =
  /^export (?:async )?(?:function\*?|const) ((?:parse|read|decode|open|verify|peek|restore)[A-Z]\w*|decrypt|decompress)\b/gm;

/** Files and what reads them; whatever they read is handed to something that is a target. */
const readersIn = (file: string): string[] =>
  [...readFileSync(join(checkout, 'src', file), 'utf8').matchAll(reader)].map(
    ([, name]) => `${file} ${name}`,
  );

const found = folders.flatMap((folder) =>
  readdirSync(join(checkout, 'src', folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .flatMap((name) => readersIn(join(folder, name))),
);

/** These take no bytes apart themselves. */
const handsOn: Readonly<Record<string, string>> = {
  ...because('reads bytes of a file, and hands them on as they are', [
    'bundle/classic.ts readClassicHead',
    'bundle/contents.ts readPiece',
    'bundle/file.ts openBundleFile',
    'bundle/file.ts openIfThere',
    'bundle/file.ts readBeginning',
    'bundle/file.ts readSmall',
    'bundle/file-now.ts readSmallNow',
    'desk/fleet/receipt-file.ts readReceiptText',
    'bundle/head-files.ts readHeadFiles',
    'bundle/head-files.ts readSignatureFile',
    'bundle/parts.ts openParts',
    'core/utf8.ts decodeUtf8',
    'desk/fleet/kept.ts readCollected',
    'state/in-hand.ts readCutOffs',
    'state/unverified.ts readUnverified',
    'bundle/pool.ts openPool',
    'state/kept-releases.ts readKeptRelease',
    'state/outbox.ts readFromOutbox',
    'state/floor.ts readFloorRecord',
    'state/own.ts readOwn',
    'state/staged.ts readStagedFile',
  ]),
  ...because(
    'hands them to `readRelease` and `parseConfig`, `openEnvelope` and `parseTrustedKey`, which are met',
    [
      'bundle/pool.ts readPoolParts',
      'bundle/pool.ts readPoolRelease',
      'desk/fleet/newest-bundles.ts readNewestBundles',
      'desk/fleet/fleet.ts readFleet',
      'desk/fleet/host-keys.ts readToldKeys',
      'desk/fleet/folder.ts readHostKey',
      'desk/fleet/former.ts readFormer',
      'desk/fleet/former.ts readHostKeys',
      'desk/fleet/kept.ts readKept',
      'desk/fleet/rings.ts readTurns',
      'desk/fleet/roll.ts readWord',
      'state/journal.ts readAgentJournal',
      'desk/fleet/since.ts readBases',
      'desk/keys/encrypt.ts readRecipients',
      'desk/keys/key-files.ts readPublicKeyArgument',
      'desk/keys/key-files.ts readSigner',
      'desk/keys/read-release.ts readAnyHead',
      'desk/keys/read-release.ts readAnyIndex',
      'desk/keys/read-release.ts readClassicIndex',
      'desk/keys/read-release.ts readRelease',
      'desk/keys/signed-bundle.ts openSignedBundle',
      'desk/keys/verify.ts verifyBundleFile',
      'state/config.ts readPolicy',
      'state/config.ts readSettings',
    ],
  ),
  ...because('is what `readRoomAnswer`, `readRepairAnswer` and `readVoucher` read with, which are met', [
    'state/answers.ts readAnswer',
  ]),
  ...because('asks Nix, or the file system, and not who carries bundles', [
    'nix/contents.ts readContents',
    'nix/flake.ts readFlakeMetadata',
    'nix/open-daemon.ts openDaemon',
    'nix/profile.ts readProfile',
    'nix/profile.ts readSystemLink',
    'nix/settings.ts openRecentNix',
  ]),
  ...because('hands them to `openEnvelope` first, and the rest to a schema', [
    'core/release/provenance.ts parseProvenance',
    'desk/keys/provenance.ts readProvenance',
  ]),
  ...because('takes any JSON, through a schema, under fast-check (test/core/advisories)', [
    'core/advisories.ts parseAdvisories',
    'desk/fleet/advisories.ts readAdvisories',
  ]),
  ...because('takes what the desk’s own person wrote, through a schema', [
    'core/rings.ts parseRings',
    'desk/fleet/rings.ts readRings',
  ]),
  ...because('asks systemd', ['core/run/own-unit.ts parseOwnUnit']),
};

function because(reason: string, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [name, reason]));
}

test('every reader of what others wrote is met by the fuzzer', () => {
  const met = new Set(targets.flatMap((t) => t.readers));
  const unmet = found.filter((name) => !met.has(name) && !(name in handsOn));
  assert.deepEqual(unmet, [], 'a target in test/fuzz/targets, or a line in this file');
});

test('what is said to be met, or to hand on, is there', () => {
  for (const name of [...targets.flatMap((t) => t.readers), ...Object.keys(handsOn)]) {
    const [file = '', symbol = ''] = name.split(' ');
    const path = join(checkout, 'src', file);
    assert.ok(existsSync(path), file);
    const text = readFileSync(path, 'utf8');
    for (const part of symbol.split('.')) assert.match(text, new RegExp(`\\b${part}\\b`), name);
  }
});

test('no two targets share a name, or a corpus', () => {
  assert.equal(new Set(targets.map((t) => t.name)).size, targets.length);
});
