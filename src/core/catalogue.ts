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
  /** True if the running system may have been affected. Otherwise nothing was changed. */
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
    what: 'This file is not a nixmaker bundle.',
    next: 'Check that you copied the right file. Bundles are written by `nixmaker build`.',
  },
  misnamed: {
    exit: bad,
    what: 'This file looks like a bundle, but its name does not say so, or it was compressed again.',
    next: 'Unpack it (`.zip`, `.gz`), rename it so that it ends in `.tar` (`.tar.age` if encrypted, `.keyring` for a keyring; the folder of a medium is called `nixmaker`), and bring it again.',
  },
  'not-decryptable': {
    exit: bad,
    what: 'The bundle is encrypted, but not for this machine.',
    next: 'At the desk, encrypt it for this machine too: `nixmaker encrypt --to RECIPIENT BUNDLE`. `nixmaker age-key` prints the recipient here.',
  },
  'bundle-truncated': {
    exit: bad,
    what: 'The bundle is cut short: its signed manifest lists more bytes than the file has.',
    next: 'Copy the file again and let the copy finish. Unmount a stick before you pull it out.',
  },
  'bundle-trailing-data': {
    exit: bad,
    what: 'The file has extra data after the end of the bundle.',
    next: 'Copy the bundle from the desk again; something was appended to this copy.',
  },
  'bundle-altered': {
    exit: bad,
    what: 'Part of the bundle does not match what was signed.',
    next: 'Copy the bundle again. If that does not help, the medium is failing or the bundle was tampered with.',
  },
  'bundle-malformed': {
    exit: bad,
    what: 'The bundle’s layout does not match its manifest.',
    next: 'Build the bundle again with this version of nixmaker, then copy it again.',
  },
  'manifest-malformed': {
    exit: bad,
    what: 'The bundle’s manifest is malformed.',
    next: 'Build the bundle again with `nixmaker build`. Never edit a manifest by hand.',
  },
  'schema-unsupported': {
    exit: bad,
    what: 'This nixmaker cannot read the bundle’s format version.',
    next: 'If the bundle is newer than this machine’s nixmaker, first bring an update that contains the newer nixmaker, built by the older one. If the bundle is older, build it again.',
  },
  'signature-missing': {
    exit: bad,
    what: 'The bundle is not signed.',
    next: 'Sign it with `nixmaker sign --key FILE BUNDLE`, or build with `--key FILE`.',
  },
  'signature-malformed': {
    exit: bad,
    what: 'The bundle’s signature file is malformed.',
    next: 'Sign the bundle again with `nixmaker sign`.',
  },
  'signature-unknown-key': {
    exit: bad,
    what: 'The bundle is signed, but not by any key this machine trusts.',
    next: 'Sign it with a trusted key, or add the key to this machine’s policy.',
  },
  'signature-invalid': {
    exit: bad,
    what: 'A signature claims to be from a trusted key, but does not match the manifest.',
    next: 'Copy the bundle again. If that does not help, the manifest was altered, or the signer used a different key under a trusted name.',
  },
  'signature-threshold': {
    exit: bad,
    what: 'Too few trusted keys have signed the bundle.',
    next: 'Have holders of other trusted keys sign it too: `nixmaker sign --key FILE BUNDLE`.',
  },
  'keyring-malformed': {
    exit: bad,
    what: 'The keyring is malformed.',
    next: 'Create it again with `nixmaker keyring make` and have it signed again.',
  },
  'keyring-untrusted': {
    exit: bad,
    what: 'Too few of the currently trusted keys, or of the keyring’s own keys, have signed the keyring.',
    next: 'Collect enough signatures from both sets: `nixmaker keyring sign --key FILE KEYRING`.',
  },
  'hosts-malformed': {
    exit: bad,
    what: 'The table of hosts is malformed.',
    next: 'At the desk, create it again with `nixmaker hosts make`, sign it, and put it on the medium again.',
  },
  'hosts-untrusted': {
    exit: bad,
    what: 'Too few of the given keys have signed the table of hosts.',
    next: 'Have it signed with `nixmaker hosts sign --key FILE TABLE`, or name the host with `--host`.',
  },
  'not-installable': {
    exit: bad,
    what: 'The release can’t be installed on an empty disk.',
    next: 'Build it for a first install: `nixmaker build` with `services.nixmaker` enabled, without `--content derivation` and without `--since`.',
  },
  'not-rebuilt': {
    exit: bad,
    what: 'The second builder has not signed this release.',
    next: 'Have them build the same revision with the same sequence and sign it; if their manifest differs, the build is not reproducible or one of the two was tampered with.',
  },
  'provenance-malformed': {
    exit: bad,
    what: 'The file is not a provenance statement of nixmaker’s.',
    next: 'Name the `provenance.json` that `nixmaker build --provenance` wrote beside the bundle.',
  },
  'provenance-mismatch': {
    exit: bad,
    what: 'The provenance statement is about another release.',
    next: 'Find the statement that was written with this bundle; each build has its own.',
  },
  'closure-incomplete': {
    exit: bad,
    what: 'The bundle is missing paths that its system refers to.',
    next: 'Build the bundle again with `nixmaker build`.',
  },
  'cache-unusable': {
    exit: bad,
    what: 'This binary cache cannot be packed.',
    next: 'Create it again, complete and compressed with zstd: `nix copy --to "file:///FOLDER?compression=zstd" SYSTEM`.',
  },
  'not-a-system': {
    exit: bad,
    what: 'The bundle does not contain a NixOS system.',
    next: 'Build it from `nixosConfigurations.<host>` with `nixmaker build`.',
  },
  'output-mismatch': {
    exit: bad,
    what: 'The bundle’s derivation produced a different system than the signed manifest names.',
    next: 'Build the bundle again. Do not mix parts of different bundles.',
  },
  'wrong-host': {
    exit: no,
    what: 'The bundle is for another host.',
    next: 'Bring this host’s bundle.',
  },
  'wrong-system': {
    exit: no,
    what: 'The bundle is for another system type.',
    next: 'Build the bundle for this machine’s system type, such as `x86_64-linux`.',
  },
  'wrong-machine': {
    exit: no,
    what: 'The bundle is bound to another machine id.',
    next: 'Build the bundle for this machine’s id (/etc/machine-id).',
  },
  expired: {
    exit: no,
    what: 'The bundle has expired.',
    next: 'Build a new bundle.',
  },
  'host-unknown': {
    exit: no,
    what: 'Nothing tells which host this machine is to become.',
    next: 'Name it with `--host HOST`, or add the machine to the signed table of hosts.',
  },
  'sequence-older': {
    exit: no,
    what: 'The bundle is older than the newest one taken here, or than the minimum of policy or keyring.',
    next: 'Bring a newer bundle. To return to an earlier system, run `nixmaker rollback` at the machine.',
  },
  'sequence-conflict': {
    exit: no,
    what: 'A different bundle with the same sequence was already taken here. This may be tampering.',
    next: 'Find out who built it, then build again with a higher sequence.',
  },
  'sequence-jump': {
    exit: no,
    what: 'The bundle’s sequence is further ahead than this machine’s policy allows.',
    next: 'Build with a sequence closer to the last one, or raise `limits.sequenceJump` in the policy.',
  },
  'part-older': {
    exit: no,
    what: 'This medium is part of an older release than the one whose parts are being collected here.',
    next: 'Bring the parts of the newer release; `nixmaker status` names those that are still needed.',
  },
  'created-ahead': {
    exit: no,
    what: 'The bundle’s signed time is further ahead of this machine’s clock than the policy allows.',
    next: 'Find out which clock is wrong. If it is this machine’s, set it (`timedatectl set-time`) and drop the bundle again; if it is the desk’s, build again. The signed time was not recorded.',
  },
  'keyring-gap': {
    exit: no,
    what: 'This keyring does not directly follow the one this machine has.',
    next: 'Bring the versions in between as well: each keyring is trusted only on the word of the one before it.',
  },
  'keyring-lower': {
    exit: no,
    what: 'This keyring would let the machine take older bundles again.',
    next: 'Make it again with at least the `minimumSequence` of the keyring before it (`nixmaker keyring show`), and have it signed again. To go lower on purpose, raise `keyringVersion` in the machine’s policy first.',
  },
  'key-not-valid': {
    exit: no,
    what: 'The bundle is signed by trusted keys, but they are not valid now.',
    next: 'Sign it with a key that is valid, or change `notBefore` or `notAfter` in the policy. Also check the machine’s clock.',
  },
  'role-missing': {
    exit: no,
    what: 'The bundle lacks a signature for a role that the policy requires.',
    next: 'Have a key with that role sign it: `nixmaker sign --key FILE BUNDLE`.',
  },
  'over-limit': {
    exit: no,
    what: 'The bundle is larger than this machine’s policy allows.',
    next: 'Find out why it is so large, or raise the limit in the policy.',
  },
  'failed-before': {
    exit: no,
    what: 'This exact bundle has already failed to activate here.',
    next: 'Bring a fixed bundle with a higher sequence.',
  },
  'release-held': {
    exit: no,
    what: 'This release is held on this machine: someone rolled back from it or put it on hold.',
    next: 'Bring a bundle with a higher sequence. To take this one anyway, run `nixmaker release SEQUENCE` at the machine and bring it again.',
  },
  'staged-too-long': {
    exit: no,
    what: 'The release was staged for longer than the policy allows, and has been dropped.',
    next: 'Find out why its time never came (`nixmaker history`, the policy’s `window` and `approval`), then bring the bundle again.',
  },
  'cut-off-before': {
    exit: no,
    what: 'The file was set aside because the agent died while working on it, several times in a row (it crashed, was killed, or ran out of memory).',
    next: 'Check `journalctl -u nixmaker` for the cause and bring another bundle. To retry this file, `touch` it, or run `nixmaker switch FILE`.',
  },
  'operation-forbidden': {
    exit: no,
    what: 'This machine’s policy does not allow this operation.',
    next: 'Use an operation that the policy lists, or change the policy.',
  },
  'missing-input': {
    exit: no,
    what: 'The derivation needs something this machine does not have, and the policy does not allow fetching or building it.',
    next: 'Build with `--content closure`, which includes everything, or change `realise` in the policy.',
  },
  'base-missing': {
    exit: no,
    what: 'The bundle leaves out paths that this machine does not have.',
    next: 'Bring a full bundle (built without `--since`).',
  },
  incomplete: {
    exit: later,
    what: 'The bundle is still being copied.',
    next: 'Nothing to do: it is taken once it is complete.',
  },
  unsettled: {
    exit: later,
    what: 'The file is still changing, or its space was reserved before its contents arrived.',
    next: 'Nothing to do: it is checked again once it has been unchanged for `inboxPatience` (in the settings).',
  },
  stopped: {
    exit: exitCodes.interrupted,
    what: 'The command was interrupted.',
    next: 'Run it again when ready. Partial work was cleaned up.',
  },
  'parts-missing': {
    exit: later,
    what: 'The release comes on several media, and not all of them have been here.',
    next: 'Bring the parts named above, in any order; what has come stays. If one is lost, put the release on media again: the others need not come twice.',
  },
  interrupted: {
    exit: later,
    touched: true,
    what: 'The run was cut off by a restart, a power cut or a kill.',
    next: 'Nothing to do if the bundle is still in the inbox: it is taken again. Otherwise bring it again.',
  },
  busy: {
    exit: later,
    what: 'Another nixmaker process is using the same machine, medium or folder.',
    next: 'Wait for it to finish, then try again.',
  },
  'nix-unavailable': {
    exit: exitCodes.nixUnavailable,
    what: 'Nix is not responding.',
    next: 'Check `systemctl status nix-daemon`, then run `nixmaker doctor` as root to see whether Nix responds to the agent too. The bundle stays where it is and is retried.',
  },
  'no-space': {
    exit: later,
    what: 'There is not enough disk space.',
    next: 'Free some space (in the Nix store: `nix-collect-garbage`) and run the command again. On a machine, waiting bundles are retried automatically.',
  },
  'nix-too-old': {
    exit: exitCodes.nixUnavailable,
    what: 'This machine’s Nix is too old for nixmaker.',
    next: 'Upgrade to Nix 2.24 or newer. The bundle stays where it is and is retried.',
  },
  'no-boot-space': {
    exit: later,
    what: 'There is not enough space where the boot loader keeps its kernels.',
    next: 'Delete old generations (`nix-collect-garbage --delete-older-than 30d`); `nixos-rebuild boot` or the next bundle then removes their kernels.',
  },
  'boot-not-mounted': {
    exit: later,
    what: 'The boot file system is not mounted, so the boot loader would never see a new boot entry.',
    next: 'Check `systemctl status boot.mount` and mount it (`mount /boot`), or fix /etc/fstab. First look into the unmounted folder: an earlier switch may have written there. The bundle is retried automatically.',
  },
  'medium-unreadable': {
    exit: later,
    what: 'The medium became unreadable: it was pulled out, or it is failing.',
    next: 'Plug it in again; paths that were already imported are not read again. If that does not help, use another medium.',
  },
  'medium-stalled': {
    exit: later,
    what: 'The medium, or what is mounted there, has stopped responding.',
    next: 'Pull it out and plug it in again. If that does not help, use another medium. If a server or a program provides it (NFS, FUSE), mount it again or remove it.',
  },
  'source-unreachable': {
    exit: later,
    what: 'The server could not be reached, or stopped sending.',
    next: 'Check the network, the URL and the proxy. What has come is kept; the next `nixmaker fetch` goes on from there.',
  },
  'source-empty': {
    exit: later,
    what: 'The server has no releases for this host.',
    next: 'Check that the URL is that of the folder with `nixmaker/` in it, and that `nixmaker put` has put a bundle for this host there.',
  },
  'outside-window': {
    exit: later,
    what: 'The policy only allows installing during certain hours.',
    next: 'Nothing to do: it is installed when the window opens. To install it now, run `nixmaker switch FILE` at the machine.',
  },
  'not-approved': {
    exit: later,
    what: 'The policy’s approval program refused or gave no answer.',
    next: 'Nothing to do: it is asked again at growing intervals of up to 15 minutes. To install now, run `nixmaker switch FILE` at the machine.',
  },
  'not-now': {
    exit: later,
    what: 'The policy’s `hooks.before` says that now is not the time.',
    next: 'Nothing to do: it is asked again at growing intervals of up to 15 minutes. See the detail for what it is waiting for.',
  },
  'hook-failed': {
    exit: later,
    what: 'The policy’s `hooks.before` failed, so the update was not begun.',
    next: 'See the detail and `journalctl -u "nixmaker-hook-*"`, and fix the program; `nixmaker doctor` says whether root may run it. It is run again at growing intervals of up to 15 minutes.',
  },
  'floor-lost': {
    exit: later,
    what: 'This machine’s record of the bundles it has taken is lost, or older than its journal or boot records, so an old bundle could pass for a new one.',
    next: 'Run `nixmaker floor` and find the cause: a failing disk, a restored backup, or a root file system in memory that loses /var/lib/nixmaker. Then run `nixmaker floor adopt` as root at the machine; the bundle is taken after that. If the machine has never taken a bundle, set `firstStart` in its policy.',
  },
  'state-unreadable': {
    exit: later,
    what: 'The agent cannot read nixmaker’s state on this machine. The bundle is not at fault.',
    next: 'Run `nixmaker doctor` as root: it checks the agent’s permissions and says what to do. The bundle is retried automatically.',
  },
  'held-lost': {
    exit: later,
    what: 'Both copies of the list of held releases are damaged, so no bundle is taken until the list is reset.',
    next: 'Run `nixmaker release --all` as root to reset the list. Then hold releases again as needed (`nixmaker hold SEQUENCE`); `nixmaker history` shows what was rolled back.',
  },
  unconfirmed: {
    exit: later,
    what: 'The machine has started the newly installed system, but it is not confirmed yet.',
    next: 'Wait for its health checks, or run `nixmaker confirm` at the machine. The bundle is retried afterwards.',
  },
  'not-restarted': {
    exit: later,
    what: 'The new system is installed, but the machine has not been restarted into it.',
    next: 'Restart the machine.',
  },
  usage: {
    exit: exitCodes.usage,
    what: 'The command cannot be run as given.',
    next: 'See `nixmaker --help` or `nixmaker VERB --help`.',
  },
  'nothing-asked': {
    exit: exitCodes.fault,
    what: 'No bundle is waiting for this approval: the question was withdrawn, or its time ran out.',
    next: 'If the bundle still waits, you will be asked again; see `nixmaker status`.',
  },
  'root-unusable': {
    exit: conf,
    what: 'Nothing can be installed there as it is.',
    next: 'See the detail; mount the new system’s file systems as it will have them, then run the command again.',
  },
  'disk-unusable': {
    exit: conf,
    what: 'The release’s disk script can’t be run on this machine.',
    next: 'See the detail. Partition and mount by hand instead, and leave out `--format`; or build the release `--with-disk-script`, for these disks.',
  },
  'disk-unconfirmed': {
    exit: exitCodes.usage,
    what: 'The disks to be overwritten were not named.',
    next: 'Look at what is on them (`lsblk`), then name exactly these: `--disk DEVICE`, repeatable.',
  },
  'install-failed': {
    exit: fault,
    touched: true,
    what: 'The installation could not be finished.',
    next: 'See the detail, then run the same command again: what is done already is not done twice.',
  },
  'no-such-file': {
    exit: exitCodes.usage,
    what: 'A file or folder you named does not exist or is of the wrong type.',
    next: 'Check the name, and that its medium is mounted.',
  },
  'no-access': {
    exit: fault,
    what: 'A file or folder cannot be read or written.',
    next: 'Check its permissions and whether its file system is mounted read-only, or choose another place.',
  },
  'settings-malformed': {
    exit: conf,
    what: 'The settings file is invalid.',
    next: 'Fix the settings file. Nothing is processed until then.',
  },
  'policy-missing': {
    exit: conf,
    what: 'There is no policy file.',
    next: 'Write one (docs/policy.md; on NixOS, `services.nixmaker`). Nothing is processed until then. A desk needs no policy: run this command at the machine it is about.',
  },
  'policy-malformed': {
    exit: conf,
    what: 'The policy file is invalid.',
    next: 'Fix the policy file (docs/policy.md). Nothing is processed until then.',
  },
  'policy-unsafe': {
    exit: conf,
    what: 'The policy file can be changed by users other than root.',
    next: 'Make it owned by root and writable only by root. Nothing is processed until then.',
  },
  'key-malformed': {
    exit: conf,
    what: 'This is not a valid Nix key (name:base64).',
    next: 'Create keys with `nixmaker keygen NAME` or `nix key generate-secret`.',
  },
  'key-exists': {
    exit: exitCodes.usage,
    what: 'A key with this name already exists and was not overwritten.',
    next: 'Choose another name or another folder.',
  },
  'signer-failed': {
    exit: fault,
    what: 'The command of `--sign-with` did not make a signature; nothing was written for this bundle.',
    next: 'Run the command by itself with any file as its input: it must write the 64 bytes of an Ed25519 signature and exit with 0. It was started only once, so that a wrong PIN does not lock the token.',
  },
  'nix-key-untrusted': {
    exit: conf,
    what: 'This machine’s Nix trusts neither the keys that signed the store paths nor a store key of its own.',
    next: 'Run `nixmaker store-key` as root and follow its instructions (the NixOS module does this for you), or add the public key to `nix.settings.trusted-public-keys`. Then drop the bundle again.',
  },
  'nix-failed': {
    exit: fault,
    what: 'Nix reported an error.',
    next: 'Read the message, fix the cause, and try again.',
  },
  'build-failed': {
    exit: fault,
    what: 'The system could not be built.',
    next: 'Fix the build; --verbose shows Nix’s full output.',
  },
  'evaluation-failed': {
    exit: fault,
    what: 'The flake could not be evaluated.',
    next: 'Fix the flake; --verbose shows Nix’s full output.',
  },
  'no-such-host': {
    exit: exitCodes.usage,
    what: 'The flake has no such host.',
    next: 'Run `nixmaker list` to see the flake’s hosts.',
  },
  'host-key-unknown': {
    exit: exitCodes.usage,
    what: 'This desk has not been told the key that this host can decrypt with.',
    next: 'Run `nixmaker age-key` at the machine once (for an SSH host key: let sshd make one), then bring a stick there and back and run `nixmaker collect`. Or name the key yourself: `nixmaker encrypt --to RECIPIENT`.',
  },
  'one-way': {
    exit: no,
    what: 'There is no way back: a release that ran here since is one-way, because its services change their data.',
    next: 'Bring a fixed release with a higher sequence. To go back anyway, restore the services’ data from before that release, then run `nixmaker rollback --despite-one-way`.',
  },
  'no-such-generation': {
    exit: exitCodes.usage,
    what: 'There is no such generation to roll back to.',
    next: 'List the generations: `nix-env --list-generations --profile /nix/var/nix/profiles/system`.',
  },
  'host-name-unusable': {
    exit: fault,
    what: 'This host name cannot be used as a folder name.',
    next: 'Rename the host in `nixosConfigurations`. Slashes, spaces and leading dots are not allowed.',
  },
  'source-in-closure': {
    exit: fault,
    what: 'The system’s closure contains source code or another host’s system.',
    next: 'Remove the reference shown (often the flake’s `self`, or `./.` in a string), or build without `--forbid-source`.',
  },
  'secret-in-flake': {
    exit: exitCodes.usage,
    what: 'A secret key lies inside the flake. Nix would copy it into the store, where every user can read it, and possibly into a bundle.',
    next: 'Move it out of the flake’s folder (`--key ../fleet-1.secret`), or make the folder a Git repository that does not track it. If you have already built with this key there, it is in the Nix store: replace it.',
  },
  'output-in-flake': {
    exit: exitCodes.usage,
    what: 'The bundles would be written into the flake’s own folder, which Nix copies on every evaluation.',
    next: 'Write them elsewhere (`-d ../out`), or make the folder a Git repository.',
  },
  'source-changed': {
    exit: fault,
    what: 'The flake’s files changed during the build.',
    next: 'Run it again once the files are stable, or build from a commit.',
  },
  'last-bundle-unreadable': {
    exit: fault,
    what: 'This host’s last bundle cannot be read, so the next sequence is unknown.',
    next: 'Move the bundle away and pass the last sequence with `--sequence N`.',
  },
  'bundle-too-large': {
    exit: fault,
    what: 'The system is too large for a bundle.',
    next: 'Shrink the closure, or leave out what the host has with `--since`.',
  },
  'medium-full': {
    exit: fault,
    what: 'There is not enough space on the medium.',
    next: 'Delete what you no longer need on it, or use a larger one. Its existing contents were not changed.',
  },
  'folder-full': {
    exit: fault,
    what: 'A folder on the medium cannot hold more names. On FAT the limit is about 11,000 long names, no matter how much space is free.',
    next: 'Format the medium as exFAT or ext4, or spread the hosts over several media; a larger FAT medium does not help. Its existing contents were not changed.',
  },
  'medium-read-only': {
    exit: fault,
    what: 'The medium is read-only.',
    next: 'Turn off its write protection, or mount it with write access for your user.',
  },
  'medium-failing': {
    exit: fault,
    what: 'The medium does not store what is written to it.',
    next: 'Use another medium: this one is failing, or smaller than it claims to be.',
  },
  'receipt-malformed': {
    exit: bad,
    what: 'The receipt is malformed, or was not signed by the host it names.',
    next: 'Do not trust it. Find out where it came from.',
  },
  'advisories-malformed': {
    exit: fault,
    what: 'The file of advisories cannot be read.',
    next: 'Download it again, in OSV’s JSON form: one advisory, a list of them, or an object with `vulns`.',
  },
  'host-not-enrolled': {
    exit: bad,
    what: 'The receipt is from a host whose key is not known here.',
    next: 'Compare the key with the output of `nixmaker host-key` at that machine, then run `nixmaker collect --enrol`.',
  },
  'host-key-changed': {
    exit: bad,
    what: 'The receipt is signed, but not with the key known for this host.',
    next: 'If the machine was reinstalled, compare the key with the output of `nixmaker host-key` there, then run `nixmaker collect --replace HOST --reason TEXT`. If not, someone is impersonating it.',
  },
  'receipts-went-back': {
    exit: bad,
    what: 'The receipt is newer than one that was collected before, but its number is not higher: the machine was restored from a backup, or two machines have the same key.',
    next: 'As root at that machine, delete /var/lib/nixmaker/activation/host.secret; it creates a new key for its next receipt. Bring the medium again, then run `nixmaker collect --replace HOST --reason TEXT`.',
  },
  'no-medium': {
    exit: fault,
    what: 'There is no medium at that path.',
    next: 'Mount the medium or correct the path, then run the command again.',
  },
  'nothing-to-pass-on': {
    exit: fault,
    what: 'This machine has no release that it could pass on.',
    next: 'Let it take a release first, from a stick or a server; the next one is kept.',
  },
  'came-encrypted': {
    exit: no,
    what: 'The release came encrypted for its hosts, and would leave this machine in the clear.',
    next: 'Bring the encrypted bundle to the others instead. If whoever finds the medium may read it: `nixmaker put --self --in-the-clear MEDIUM`.',
  },
  'cannot-listen': {
    exit: fault,
    what: 'This machine can’t listen at that address and port.',
    next: 'See the detail. Choose another port (`--port`) or address (`--listen`), or stop what is listening there.',
  },
  'source-untrusted': {
    exit: fault,
    what: 'The server’s certificate is not trusted, or no encrypted connection to it can be made.',
    next: 'Check the server’s name and the machine’s clock. If the server has a certificate of your own authority, name that in `caFile`.',
  },
  'source-refused': {
    exit: fault,
    what: 'The server refuses to answer.',
    next: 'See the detail for the status. Check the server’s access rules, and this machine’s certificate if the server asks for one.',
  },
  'source-misbehaves': {
    exit: fault,
    what: 'The server sent something other than what was asked for.',
    next: 'See the detail. Check the server and any proxy on the way; nothing of it was stored.',
  },
  'activation-failed': {
    exit: fault,
    touched: true,
    what: 'The new system could not be activated; the previous one was restored.',
    next: 'Read switch-to-configuration’s messages in the report, then bring a fixed bundle.',
  },
  'no-boot-entry': {
    exit: fault,
    touched: true,
    what: 'The boot menu lacked the new system or the one to go back to; the previous system was restored.',
    next: 'Let the boot loader keep at least two entries (`boot.loader.*.configurationLimit`), then bring a bundle with a higher sequence.',
  },
  'configuration-unusable': {
    exit: fault,
    touched: true,
    what: 'The new system brings a policy, settings or keyring that nixmaker cannot use; the previous system was restored.',
    next: 'See the detail for the file and the error, fix it in the system’s configuration, and bring a bundle with a higher sequence.',
  },
  'health-failed': {
    exit: fault,
    touched: true,
    what: 'The new system ran but failed its health checks; the previous one was restored.',
    next: 'See the report for the check that failed. Bring a fixed bundle, or correct the check in the policy.',
  },
  'check-failed': {
    exit: fault,
    what: 'The new system’s own pre-switch checks failed.',
    next: 'Read the messages in the report, then bring a fixed bundle.',
  },
  'boot-failed': {
    exit: fault,
    touched: true,
    what: 'The machine did not come up in the new system after the restart; the previous one is installed again.',
    next: 'Find out why at the machine (`journalctl --boot=-1`), then bring a fixed bundle.',
  },
  'not-confirmed': {
    exit: fault,
    touched: true,
    what: 'Nobody confirmed the new system in time; the previous one is installed again.',
    next: 'Bring the bundle again with a higher sequence, and run `nixmaker confirm` once you have checked the machine.',
  },
  'rollback-failed': {
    exit: fault,
    touched: true,
    what: 'The new system could not be activated, and restoring the previous one failed too.',
    next: 'At the machine, restart and choose the previous generation in the boot menu.',
  },
  'no-way-back': {
    exit: fault,
    touched: true,
    what: 'The new system could not be activated, and there was no earlier system to go back to.',
    next: 'See the detail for what failed and what is installed now. Bring a fixed bundle with a higher sequence before restarting the machine.',
  },
  'left-unwell': {
    exit: fault,
    touched: true,
    what: 'The new system is unhealthy but was left in place: its release is marked one-way, because its services change their data.',
    next: 'See the detail for what is wrong and fix it at the machine, or bring a fixed release with a higher sequence. To go back anyway, restore the services’ data from before the update, then run `nixmaker rollback --despite-one-way`.',
  },
  'io-error': {
    exit: fault,
    what: 'Reading or writing failed.',
    next: 'Check the disk or the medium, then try again.',
  },
  'state-corrupt': {
    exit: fault,
    what: 'One of nixmaker’s state files is damaged.',
    next: 'See the message for the file. Restore it from a backup, or ask for help before you remove it.',
  },
  'store-corrupt': {
    exit: fault,
    what: 'Store paths on this machine are damaged, and nothing at hand has what would repair them.',
    next: 'At the machine, as root: `nixmaker repair BUNDLE`, with a bundle of this machine that has the paths, such as the installed release. The machine’s receipts tell the desk which they are.',
  },
  'store-differs': {
    exit: fault,
    what: 'Some store paths on this machine have the signed names but not the signed contents: a user trusted by Nix imported them, or they were built here with a different result.',
    next: 'Run `nix path-info --json PATH` to see where a path came from. To remove it, delete what needs it, then run `nix-store --delete PATH` and bring the bundle again. If you know it is sound, run as root `nixmaker store-key`, then `nix store sign --key-file /var/lib/nixmaker/activation/store.secret PATH`; it is accepted from then on.',
  },
  'staged-lost': {
    exit: fault,
    what: 'The release that was staged is no longer whole on this machine, and has been dropped.',
    next: 'Bring the bundle again. If nobody deleted anything from the store or from nixmaker’s state, check the disk.',
  },
  internal: {
    exit: fault,
    what: 'Nixmaker hit an unexpected condition.',
    next: 'Please report this, with the log.',
  },
};

/** Whether the same may succeed later without anyone doing anything to the bundle. */
export function isPassing(exit: ExitCode): boolean {
  return exit === exitCodes.deferred || exit === exitCodes.nixUnavailable || exit === exitCodes.interrupted;
}

/** For a run recorded by a newer nixmaker, on a machine that was rolled back to this one. */
const ofAnother: CatalogueEntry = {
  exit: fault,
  touched: true,
  what: 'A newer nixmaker has ended the run for a reason that this one has no words for.',
  next: 'Read the detail; `nixmaker explain` of the newer one tells of the code.',
};

/** The text for a code, whichever nixmaker version wrote it. */
export const entryOf = (code: string): CatalogueEntry =>
  Object.hasOwn(catalogue, code) ? catalogue[code as ReasonCode] : ofAnother;

/** The sentence on safety that goes with a code. */
export function safetyOf(code: ReasonCode): string {
  return entryOf(code).touched === true
    ? 'The system profile was changed; the report says what became of the previous system.'
    : 'The running system was not changed.';
}

/** Exit code of a run with several results: the worst wins (a fault over a refusal over a wait over success). */
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
