/**
 * What a person is told for each code: what happened, whether the system is safe, what to do next.
 * One table, used by the command line, the reports beside a bundle, and the docs.
 */
import { type ExitCode, exitCodes, type ReasonCode } from './errors.ts';

export interface CatalogueEntry {
  readonly exit: ExitCode;
  /** One sentence: what happened. */
  readonly what: string;
  /** One sentence: what to do. */
  readonly next: string;
  /** True where the running system may have been touched. Everywhere else nothing was changed. */
  readonly touched?: true;
}

const bad = exitCodes.badBundle;
const no = exitCodes.refusedByPolicy;
const later = exitCodes.deferred;
const conf = exitCodes.badConfiguration;
const fault = exitCodes.fault;

export const catalogue: Readonly<Record<ReasonCode, CatalogueEntry>> = {
  'not-a-bundle': {
    exit: bad,
    what: 'The file is not a nixmaker bundle.',
    next: 'Check that the right file was copied; a bundle is written by `nixmaker build`.',
  },
  misnamed: {
    exit: bad,
    what: 'The file may be a bundle, but it has not the name of one, or was packed once more.',
    next: 'Unpack it where it was packed (`.zip`, `.gz`), give it a name that ends in `.tar` (encrypted: `.tar.age`; a keyring: `.keyring`; the folder of a medium: `nixmaker`), and bring it again.',
  },
  'not-decryptable': {
    exit: bad,
    what: 'The bundle is encrypted, and not to a key of this machine.',
    next: 'Encrypt it to this machine as well: `nixmaker encrypt --to RECIPIENT BUNDLE`, with what `nixmaker age-key` prints here.',
  },
  'bundle-truncated': {
    exit: bad,
    what: 'The bundle ends too early: bytes its signed manifest announces are missing.',
    next: 'Copy the file again and wait for the copy to end (unmount a stick before pulling it).',
  },
  'bundle-trailing-data': {
    exit: bad,
    what: 'The file goes on after the end of the bundle.',
    next: 'Copy the bundle again from the builder; somebody or something has added to it.',
  },
  'bundle-altered': {
    exit: bad,
    what: 'A part of the bundle is not what was signed.',
    next: 'Copy the bundle again. If it happens again, the medium is failing or somebody altered the bundle.',
  },
  'bundle-malformed': {
    exit: bad,
    what: 'The bundle is not laid out the way its manifest says.',
    next: 'Build the bundle again with this version of nixmaker and copy it again.',
  },
  'manifest-malformed': {
    exit: bad,
    what: 'The manifest of the bundle is not well formed.',
    next: 'Build the bundle again with `nixmaker build`; do not edit a manifest by hand.',
  },
  'schema-unsupported': {
    exit: bad,
    what: 'The bundle is written in another format than this nixmaker reads.',
    next: 'Where the bundle is newer, bring an update that carries a newer nixmaker first, built by the older one. Where it is older, build it again.',
  },
  'signature-missing': {
    exit: bad,
    what: 'The bundle is not signed.',
    next: 'Sign it with `nixmaker sign --key FILE BUNDLE`, or build with `--key FILE`.',
  },
  'signature-malformed': {
    exit: bad,
    what: 'The signature file of the bundle is not well formed.',
    next: 'Sign the bundle again with `nixmaker sign`.',
  },
  'signature-unknown-key': {
    exit: bad,
    what: 'The bundle is signed, but by no key this machine trusts.',
    next: 'Sign it with a trusted key, or add the key to the policy of this machine.',
  },
  'signature-invalid': {
    exit: bad,
    what: 'A signature that names a trusted key does not fit the manifest.',
    next: 'Copy the bundle again. If it happens again, the manifest was altered or the key is not the one it claims to be.',
  },
  'signature-threshold': {
    exit: bad,
    what: 'Fewer trusted keys have signed than the policy asks for.',
    next: 'Have the bundle signed by more of the trusted keys with `nixmaker sign`.',
  },
  'keyring-malformed': {
    exit: bad,
    what: 'The keyring is not well formed.',
    next: 'Make it again with `nixmaker keyring make` and have it signed again.',
  },
  'keyring-untrusted': {
    exit: bad,
    what: 'Too few of the keys that this machine trusts, or of the keyring’s own, have signed the keyring.',
    next: 'Have it signed by enough of both: `nixmaker keyring sign --key FILE KEYRING`.',
  },
  'closure-incomplete': {
    exit: bad,
    what: 'The bundle does not hold everything its system refers to.',
    next: 'Build the bundle again with `nixmaker build`.',
  },
  'cache-unusable': {
    exit: bad,
    what: 'The binary cache can’t be packed.',
    next: 'Make it again, whole and with zstd: `nix copy --to "file:///FOLDER?compression=zstd" SYSTEM`.',
  },
  'not-a-system': {
    exit: bad,
    what: 'What the bundle carries is not a NixOS system.',
    next: 'Build the bundle from `nixosConfigurations.<host>` with `nixmaker build`.',
  },
  'output-mismatch': {
    exit: bad,
    what: 'The derivation of the bundle gave another system than the signed manifest names.',
    next: 'Build the bundle again; do not combine parts of different bundles.',
  },
  'wrong-host': {
    exit: no,
    what: 'The bundle is for another host.',
    next: 'Bring the bundle of this host.',
  },
  'wrong-system': {
    exit: no,
    what: 'The bundle is for another kind of machine (processor or operating system).',
    next: 'Build the bundle for this machine’s system type.',
  },
  'wrong-machine': {
    exit: no,
    what: 'The bundle is bound to another machine id.',
    next: 'Build the bundle for the machine id of this machine.',
  },
  expired: {
    exit: no,
    what: 'The bundle has expired.',
    next: 'Build a new bundle.',
  },
  'sequence-older': {
    exit: no,
    what: 'The bundle is older than one this machine has already taken, or than its policy takes.',
    next: 'Bring a newer bundle. To go back to an earlier system use `nixmaker rollback` at the machine.',
  },
  'sequence-conflict': {
    exit: no,
    what: 'The bundle has the sequence of one already taken, but other contents. Somebody may be tampering.',
    next: 'Find out which builder made it; build again with a higher sequence.',
  },
  'sequence-jump': {
    exit: no,
    what: 'The sequence of the bundle is further ahead than the policy of this machine allows.',
    next: 'Build with a sequence that follows the last one, or raise `limits.sequenceJump` in the policy.',
  },
  'created-ahead': {
    exit: no,
    what: 'The bundle was signed for a time further ahead of this machine’s clock than its policy allows.',
    next: 'See which of the two is wrong. Where it is this machine’s clock, set it (`timedatectl set-time`) and drop the bundle again; where it is the desk’s, build again. Nothing of that time was remembered.',
  },
  'keyring-gap': {
    exit: no,
    what: 'The keyring is not the one that follows the one this machine has.',
    next: 'Bring the keyrings in between as well; each is believed on the word of the one before.',
  },
  'key-not-valid': {
    exit: no,
    what: 'The keys that signed the bundle are trusted by this machine, but are not valid now.',
    next: 'Sign it with a key that is valid, or change `notBefore` or `notAfter` in the policy. A wrong clock can be the reason, too.',
  },
  'role-missing': {
    exit: no,
    what: 'The bundle lacks a signature by a key of a role that the policy asks for.',
    next: 'Have it signed by such a key as well: `nixmaker sign --key FILE BUNDLE`.',
  },
  'over-limit': {
    exit: no,
    what: 'The bundle is larger than the policy of this machine allows.',
    next: 'Find out why it is so large, or raise the limit in the policy.',
  },
  'failed-before': {
    exit: no,
    what: 'This very bundle was tried before and could not be activated.',
    next: 'Bring a corrected bundle with a higher sequence.',
  },
  'release-held': {
    exit: no,
    what: 'The bundle is of a release that is held on this machine: a person has gone back from it, or named it as bad.',
    next: 'Bring a bundle with a higher sequence. To have this one taken after all, run `nixmaker release SEQUENCE` at the machine and bring it again.',
  },
  'cut-off-before': {
    exit: no,
    what: 'The agent was cut off again and again while it was at work on this file (it crashed, was killed, or ran out of memory), so the file is set aside.',
    next: 'Look for the reason in `journalctl -u nixmaker`, and bring another bundle. To have this file tried again, give it a new date (`touch`), or take it by hand: `nixmaker switch --tarball FILE`.',
  },
  'operation-forbidden': {
    exit: no,
    what: 'The policy of this machine does not allow this operation.',
    next: 'Use an operation that the policy lists, or change the policy.',
  },
  'missing-input': {
    exit: no,
    what: 'This machine lacks something that the derivation needs, and the policy does not let it be fetched or built.',
    next: 'Build with `--content closure`, which carries everything, or change `realise` in the policy.',
  },
  'base-missing': {
    exit: no,
    what: 'The bundle leaves out paths that this machine does not have.',
    next: 'Bring a whole bundle (built without `--since`).',
  },
  incomplete: {
    exit: later,
    what: 'The bundle is still being copied.',
    next: 'Nothing; it is taken once all its bytes are there.',
  },
  unsettled: {
    exit: later,
    what: 'The file is still changing, or has its size before its contents.',
    next: 'Nothing; it is looked at again, and judged once it has been at rest for `inboxPatience` of the settings.',
  },
  stopped: {
    exit: exitCodes.interrupted,
    what: 'The command was interrupted.',
    next: 'Run it again when it suits; what was begun has been cleared away.',
  },
  interrupted: {
    exit: later,
    touched: true,
    what: 'The work was interrupted (a restart, a power cut, a kill).',
    next: 'Nothing if the bundle is still in the inbox, where it is taken again; otherwise bring it again.',
  },
  busy: {
    exit: later,
    what: 'Another nixmaker is at work on the same machine, medium or folder.',
    next: 'Wait for it to finish, then try again.',
  },
  'nix-unavailable': {
    exit: exitCodes.nixUnavailable,
    what: 'Nix does not answer.',
    next: 'Check `systemctl status nix-daemon`, and with `nixmaker doctor` (as root) whether it answers the agent too; the bundle stays where it is and is tried again.',
  },
  'no-space': {
    exit: later,
    what: 'There is not enough room on a disk.',
    next: 'Free space (in the Nix store: `nix-collect-garbage`) and run it again; a bundle that waits at a machine is tried again by itself.',
  },
  'nix-too-old': {
    exit: exitCodes.nixUnavailable,
    what: 'The Nix of this machine is older than nixmaker can work with.',
    next: 'Bring Nix 2.24 or newer; the bundle stays where it is and is tried again.',
  },
  'no-boot-space': {
    exit: later,
    what: 'There is not enough room where the boot loader keeps kernels.',
    next: 'Delete old generations (`nix-collect-garbage --delete-older-than 30d`, then `nixos-rebuild boot` or the next bundle clears their kernels away).',
  },
  'boot-not-mounted': {
    exit: later,
    what: 'What the machine starts from is not mounted, so a new boot entry would be written where no boot loader reads it.',
    next: 'See `systemctl status boot.mount` and mount it (`mount /boot`), or correct /etc/fstab. Look first at what lies in the folder below it: an earlier switch may have written there. The bundle is tried again by itself.',
  },
  'medium-unreadable': {
    exit: later,
    what: 'The medium could not be read any more: it was pulled out, or it is failing.',
    next: 'Plug it in again; what has been imported is not read again. If it happens again, use another medium.',
  },
  'medium-stalled': {
    exit: later,
    what: 'The medium, or what is mounted there, has stopped to answer.',
    next: 'Pull it out and plug it in again; if it happens again, use another medium. What is mounted from a server or by a program (NFS, FUSE): mount it anew, or take it away.',
  },
  'outside-window': {
    exit: later,
    what: 'The policy lets bundles be installed in certain hours only.',
    next: 'Nothing: it is taken when the window opens. A person at the machine can install it at once with `nixmaker switch --tarball FILE`.',
  },
  'not-approved': {
    exit: later,
    what: 'The program that the policy asks before an installation has said no, or nothing.',
    next: 'Nothing: it is asked again, later and later, at most every quarter of an hour. A person at the machine can install it at once with `nixmaker switch --tarball FILE`.',
  },
  'floor-lost': {
    exit: later,
    what: 'What this machine remembers of the bundles it has taken is lost, or older than its journal or the record beside its generations, so an old bundle could pass for new.',
    next: 'See `nixmaker floor`, and find out why: a failing disk, a restored backup, a root file system in memory that forgets /var/lib/nixmaker. Then run `nixmaker floor adopt` as root at the machine; the bundle is taken after that. If the machine has never taken one, say so by `firstStart` in its policy.',
  },
  'state-unreadable': {
    exit: later,
    what: 'What nixmaker remembers on this machine can’t be read by the agent. That is no fault of the bundle.',
    next: 'Run `nixmaker doctor` as root: it asks with the agent’s rights, and says what to do. The bundle is tried again by itself.',
  },
  'held-lost': {
    exit: later,
    what: 'Which releases are held on this machine is not known: both copies of the list are damaged. Until it is, no bundle is taken.',
    next: 'Run `nixmaker release --all` as root: it writes the list anew, without any. Then hold again what is to be held (`nixmaker hold SEQUENCE`); `nixmaker history` has what was rolled back from.',
  },
  unconfirmed: {
    exit: later,
    what: 'The machine was started into the system installed last, which has not been confirmed yet.',
    next: 'Wait for its health checks, or run `nixmaker confirm` at the machine; the bundle is tried again.',
  },
  'not-restarted': {
    exit: later,
    what: 'The new system is installed, but the machine has not been restarted into it.',
    next: 'Restart the machine.',
  },
  usage: {
    exit: exitCodes.usage,
    what: 'The command can’t be carried out as it was given.',
    next: 'See `nixmaker --help`, or `nixmaker VERB --help`.',
  },
  'no-such-file': {
    exit: exitCodes.usage,
    what: 'A file or folder that was named is not there, or is of another kind.',
    next: 'Check the name, and whether the medium that it lies on is mounted.',
  },
  'no-access': {
    exit: fault,
    what: 'A file or folder may not be read or written.',
    next: 'Check its permissions and whether its file system is mounted for writing, or name another place.',
  },
  'settings-malformed': {
    exit: conf,
    what: 'The settings file can’t be used.',
    next: 'Correct the settings file; nothing is processed until then.',
  },
  'policy-missing': {
    exit: conf,
    what: 'There is no policy file.',
    next: 'Write one (docs/policy.md; on NixOS `services.nixmaker`); nothing is processed until then. A desk needs none: run the command at the machine that it is about.',
  },
  'policy-malformed': {
    exit: conf,
    what: 'The policy file can’t be used.',
    next: 'Correct the policy file (docs/policy.md); nothing is processed until then.',
  },
  'policy-unsafe': {
    exit: conf,
    what: 'The policy file could be changed by somebody who must not.',
    next: 'Make it owned by root and writable by nobody else; nothing is processed until then.',
  },
  'key-malformed': {
    exit: conf,
    what: 'A key is not a usable Nix key (name:base64).',
    next: 'Make keys with `nixmaker keygen NAME` or `nix key generate-secret`.',
  },
  'key-exists': {
    exit: exitCodes.usage,
    what: 'A key of this name is already there and is not overwritten.',
    next: 'Choose another name or another folder.',
  },
  'nix-key-untrusted': {
    exit: conf,
    what: 'Nix on this machine trusts none of the keys that signed the store paths, and no store key of the machine’s own.',
    next: 'Run `nixmaker store-key` as root and do what it says (the NixOS module has done so), or add the public key to `nix.settings.trusted-public-keys` as well; then drop the bundle again.',
  },
  'nix-failed': {
    exit: fault,
    what: 'Nix reported an error.',
    next: 'Read the message; run the same again after mending it.',
  },
  'build-failed': {
    exit: fault,
    what: 'The system could not be built.',
    next: 'Mend the build; --verbose shows all that Nix said.',
  },
  'evaluation-failed': {
    exit: fault,
    what: 'The flake could not be evaluated.',
    next: 'Mend the flake; --verbose shows all that Nix said.',
  },
  'no-such-host': {
    exit: exitCodes.usage,
    what: 'The flake has no such host.',
    next: 'See `nixmaker list`.',
  },
  'no-such-generation': {
    exit: exitCodes.usage,
    what: 'There is no such generation to go back to.',
    next: 'See `nix-env --list-generations --profile /nix/var/nix/profiles/system`.',
  },
  'host-name-unusable': {
    exit: fault,
    what: 'The host’s name can’t be the name of a folder.',
    next: 'Rename it in `nixosConfigurations`; slashes, spaces and leading dots do not work.',
  },
  'source-in-closure': {
    exit: fault,
    what: 'The system carries source code or another host’s system with it.',
    next: 'Remove the reference shown (often the flake’s `self` or `./.` in a string), or build without `--forbid-source`.',
  },
  'secret-in-flake': {
    exit: exitCodes.usage,
    what: 'A secret key is part of the flake: Nix would copy it into the store, which every user can read, and perhaps into a bundle.',
    next: 'Move it out of the flake’s folder (`--key ../fleet-1.secret`), or make the folder a git repository that does not track it. A key that was built with before is in the Nix store: make a new one.',
  },
  'output-in-flake': {
    exit: exitCodes.usage,
    what: 'The bundles would lie in the flake’s own folder, all of which Nix copies at each evaluation.',
    next: 'Write them elsewhere (`-d ../out`), or make the folder a git repository.',
  },
  'source-changed': {
    exit: fault,
    what: 'The flake’s files were changed while it was being built.',
    next: 'Run it again when nothing changes them, or commit them first: a commit stays as it is.',
  },
  'last-bundle-unreadable': {
    exit: fault,
    what: 'The last bundle of this host can’t be read, so the next sequence is unknown.',
    next: 'Move it away and give the last sequence with `--sequence N`.',
  },
  'bundle-too-large': {
    exit: fault,
    what: 'The system is larger than a bundle can be.',
    next: 'Split the closure or leave parts out with `--since`.',
  },
  'medium-full': {
    exit: fault,
    what: 'There is not enough room on the medium.',
    next: 'Delete what is not needed on it, or use a larger one; what was there before is as it was.',
  },
  'folder-full': {
    exit: fault,
    what: 'A folder on the medium has no room for more names: FAT ends at some 11,000 long ones, however much room is free.',
    next: 'Format the medium as exFAT or ext4, or spread the hosts over several media. A larger one does not help; what was there before is as it was.',
  },
  'medium-read-only': {
    exit: fault,
    what: 'The medium can’t be written to.',
    next: 'Release its write protection, or mount it so that you may write to it.',
  },
  'medium-failing': {
    exit: fault,
    what: 'The medium does not keep what is written to it.',
    next: 'Use another medium.',
  },
  'receipt-malformed': {
    exit: bad,
    what: 'The receipt is not well formed, or not signed by the host it names.',
    next: 'Do not believe it; find out who has written it.',
  },
  'host-not-enrolled': {
    exit: bad,
    what: 'The receipt is of a host whose key is not known here.',
    next: 'Compare the key with what `nixmaker host-key` prints at that machine, then run `nixmaker collect --enrol`.',
  },
  'host-key-changed': {
    exit: bad,
    what: 'The receipt is signed, but by another key than the one that is known of this host.',
    next: 'If the machine was installed anew: compare the key with what `nixmaker host-key` prints there, then run `nixmaker collect --replace HOST --reason TEXT`. If not, somebody poses as it.',
  },
  'no-medium': {
    exit: fault,
    what: 'There is no medium at that place.',
    next: 'Mount the medium, or correct the path, and run the command again.',
  },
  'activation-failed': {
    exit: fault,
    touched: true,
    what: 'The new system could not be activated; the previous one was put back.',
    next: 'Read the messages of switch-to-configuration in the report; bring a corrected bundle.',
  },
  'no-boot-entry': {
    exit: fault,
    touched: true,
    what: 'The boot menu did not hold both the new system and the one to go back to; the previous one was put back.',
    next: 'Let the boot loader keep at least two entries (`boot.loader.*.configurationLimit`), then bring a bundle with a higher sequence.',
  },
  'configuration-unusable': {
    exit: fault,
    touched: true,
    what: 'The new system leaves nixmaker a policy, settings or keyring that it can’t use; the previous one was put back.',
    next: 'Read in the detail what is wrong with which file, correct it in the system’s configuration, and bring a bundle with a higher sequence.',
  },
  'health-failed': {
    exit: fault,
    touched: true,
    what: 'The new system was running but not healthy; the previous one was put back.',
    next: 'Read in the report which check failed; bring a corrected bundle, or correct the check in the policy.',
  },
  'check-failed': {
    exit: fault,
    what: 'The new system’s own checks before a switch said no.',
    next: 'Read the messages in the report; bring a corrected bundle.',
  },
  'boot-failed': {
    exit: fault,
    touched: true,
    what: 'The machine was restarted and did not come up in the new system; the previous one is installed again.',
    next: 'Find out at the machine (`journalctl --boot=-1`) why it did not start; bring a corrected bundle.',
  },
  'not-confirmed': {
    exit: fault,
    touched: true,
    what: 'Nobody confirmed the new system in time; the previous one is installed again.',
    next: 'Bring the bundle again with a higher sequence, and run `nixmaker confirm` once the machine is seen to be well.',
  },
  'rollback-failed': {
    exit: fault,
    touched: true,
    what: 'The new system could not be activated, and putting the previous one back failed as well.',
    next: 'At the machine: restart it and choose the previous generation in the boot menu.',
  },
  'no-way-back': {
    exit: fault,
    touched: true,
    what: 'The new system could not be activated, and there was no system before it to go back to.',
    next: 'Read in the detail what failed and what is installed now; bring a corrected bundle with a higher sequence before the machine is restarted.',
  },
  'left-unwell': {
    exit: fault,
    touched: true,
    what: 'The new system is not well and was left as it is: its release says that there is no way back once it has run, for its services change their data.',
    next: 'See in the detail what is not well and mend it at the machine, or bring a corrected release with a higher sequence. `nixmaker rollback` goes back all the same: restore the services’ data from before first.',
  },
  'io-error': {
    exit: fault,
    what: 'Reading or writing failed.',
    next: 'Check the disk or the medium, then try again.',
  },
  'state-corrupt': {
    exit: fault,
    what: 'A state file of nixmaker is damaged.',
    next: 'Read the message for the file; restore it from a backup or ask for help before removing it.',
  },
  'store-corrupt': {
    exit: fault,
    what: 'Store paths on this machine are damaged, and it can’t put them right by itself.',
    next: 'At the machine, as root: `nix-store --verify --check-contents --repair` with a cache that has the paths.',
  },
  'store-differs': {
    exit: fault,
    what: 'Store paths on this machine have the names that were signed, but not what was signed under them: somebody whom Nix trusts has brought others, or they were built here and came out otherwise.',
    next: 'See `nix path-info --json PATH` for where it is from. Where it is to go: `nix-store --delete PATH`, after what needs it is gone, and bring the bundle again. Where it is known to be sound, as root: `nixmaker store-key`, then `nix store sign --key-file /var/lib/nixmaker/activation/store.secret PATH`; from then on it counts.',
  },
  internal: {
    exit: fault,
    what: 'Nixmaker met a condition it did not expect.',
    next: 'Please report this with the log.',
  },
};

/** Whether the same may succeed later with nobody doing anything to the bundle. */
export function isPassing(exit: ExitCode): boolean {
  return exit === exitCodes.deferred || exit === exitCodes.nixUnavailable || exit === exitCodes.interrupted;
}

/** Of a run that a newer nixmaker has recorded, on a machine that was rolled back to this one. */
const ofAnother: CatalogueEntry = {
  exit: fault,
  touched: true,
  what: 'A newer nixmaker has ended the run for a reason that this one has no words for.',
  next: 'Read the detail; `nixmaker explain` of the newer one tells of the code.',
};

/** What is said of a code, whichever nixmaker has written it. */
export const entryOf = (code: string): CatalogueEntry =>
  Object.hasOwn(catalogue, code) ? catalogue[code as ReasonCode] : ofAnother;

/** The sentence on safety that goes with a code. */
export function safetyOf(code: ReasonCode): string {
  return entryOf(code).touched === true
    ? 'The system profile was touched; see what this report says about the previous system.'
    : 'The running system was not changed.';
}

/** Exit code of a run that met several results: the gravest wins (a fault over a refusal over a wait over success). */
export function worstExit(codes: readonly ExitCode[]): ExitCode {
  const gravity: readonly ExitCode[] = [
    exitCodes.done,
    exitCodes.deferred,
    exitCodes.interrupted,
    exitCodes.refusedByPolicy,
    exitCodes.badBundle,
    exitCodes.nixUnavailable,
    exitCodes.usage,
    exitCodes.badConfiguration,
    exitCodes.fault,
  ];
  return codes.reduce<ExitCode>((a, b) => (gravity.indexOf(b) > gravity.indexOf(a) ? b : a), exitCodes.done);
}
