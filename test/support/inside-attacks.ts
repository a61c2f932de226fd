/**
 * Attacks that can’t be a file for `verify`: by somebody who is already on the machine, holds a key, hands over a medium, or reports to
 * the desk. Each has a test of its own; this is the list for docs/attacks.md (tools/docs), and test/project/promises.test.ts checks that
 * the tests exist.
 */

export interface InsideAttack {
  /** What is done. */
  readonly attack: string;
  readonly outcome: string;
  /** Of the test, from the checkout. */
  readonly file: string;
  /** Part of its name, as the source has it. */
  readonly name: string;
}

export const insideAttacks: Readonly<Record<string, readonly InsideAttack[]>> = {
  'The thief of one key of several, and a local user': [
    {
      attack:
        'two keys must sign; a local user brings a system of his own under the genuine one’s name, signed with the one key that Nix accepts, and roots it; then the genuine bundle comes',
      outcome:
        '`store-differs`, by the agent and by root; nothing of the stranger’s runs; once unrooted, it is deleted and the genuine one comes',
      file: 'test/system/systemd/stolen-key.ts',
      name: 'a stranger’s system under the genuine name, signed by the stolen key, does not run',
    },
    {
      attack:
        'after root has looked, the agent is killed, its roots are removed, and somebody asks Nix to delete the path',
      outcome: 'it is held until it is installed',
      file: 'test/system/systemd/stolen-key.ts',
      name: 'what root has compared can’t be taken away before it is installed',
    },
    {
      attack: 'the genuine contents, with other references',
      outcome: '`store-differs`',
      file: 'test/target/store-differs.test.ts',
      name: 'a path that differs in nothing but what it refers to differs',
    },
    {
      attack: 'other contents for a path that a bundle made with `--since` leaves out',
      outcome: '`store-differs`',
      file: 'test/target/store-differs.test.ts',
      name: 'a path that a bundle leaves out, for the target is thought to have it, is compared as well',
    },
    {
      attack: 'other contents for a path that the running system itself uses',
      outcome: '`store-differs`; what runs is left alone; the way out that is shown works',
      file: 'test/target/store-used.test.ts',
      name: 'what the running system uses is never taken away',
    },
    {
      attack:
        'megabytes of signatures, and signatures by the thousand, added to paths in the name of the machine’s own key',
      outcome: 'skipped while reading; the genuine one still counts; the next release is taken',
      file: 'test/target/store-differs.test.ts',
      name: 'signatures that anybody may add, of any length and number, neither count nor stop anything',
    },
    {
      attack: 'bytes that differ from what the index pins, after root has vouched for the release',
      outcome: 'Nix refuses them',
      file: 'test/target/vouch.test.ts',
      name: 'contents that are not what the index pins are refused, although root has vouched',
    },
  ],
  'A compromised agent': [
    {
      attack:
        'every name in its folders, replaced by links, pipes, devices, folders and sockets, also between two looks',
      outcome: 'no command of root’s opens anything outside, and none hangs (strace)',
      file: 'test/system/foreign.test.ts',
      name: 'names in the agent’s folders and the inbox replaced: no command of root’s is led anywhere',
    },
    {
      attack: 'root is asked directly to activate, or to vouch for, what the agent would have refused',
      outcome: 'root decides again: the refusal’s code, nothing activated, nothing vouched for',
      file: 'test/target/root-decides.test.ts',
      name: 'asked for it directly, root does not activate',
    },
    {
      attack:
        'a request for another operation, to bypass approval, window and health checks, and to burn a genuine digest',
      outcome: 'root does what its policy says, whatever the request says',
      file: 'test/target/root-by-policy.test.ts',
      name: 'whatever operation is asked for, nothing is run that the policy would not run by itself',
    },
    {
      attack: 'a visit claims a release `committed` that root has rolled back, to have it signed',
      outcome: 'root reports its own record; the agent’s word is in a field of its own',
      file: 'test/target/receipt-claims.test.ts',
      name: 'what root has rolled back is told as rolled back',
    },
    {
      attack: 'endless requests that fail verification',
      outcome: 'each is answered; they leave a count, but no line in root’s journal',
      file: 'test/target/request-flood.test.ts',
      name: 'requests that fail their verification are answered, and leave a count and no line in the journal',
    },
    {
      attack: 'the same genuine, older manifest again and again',
      outcome: 'one run in root’s journal, and each is answered',
      file: 'test/system/systemd/requests.ts',
      name: 'the same genuine, older manifest again and again is one run of root’s journal',
    },
    {
      attack:
        'folders, pipes, links, sockets and names that are not text, named like requests, so that the path unit hits its limit',
      outcome: 'they are renamed out of its sight; a good request is served',
      file: 'test/system/systemd/path-unit.ts',
      name: 'go out of the path units’ sight, and a good request is served',
    },
    {
      attack: 'a helper that ends at once while a request waits',
      outcome: 'it is started again and again, with pauses, and serves when it can',
      file: 'test/system/systemd/path-unit.ts',
      name: 'a helper that ends at once with 78 while a request waits is started with pauses',
    },
    {
      attack: 'as many requests and visits as its folders hold, invalid or asking for nothing',
      outcome:
        'the next good one is served in bounded time, root’s helpers use at most 128 MB, the units survive, and nothing is left',
      file: 'test/system/systemd/request-floods.ts',
      name: 'the next good one is served within',
    },
    {
      attack: 'a keyring that only the agent’s own key has signed',
      outcome: '`keyring-untrusted`; root keeps what it had',
      file: 'test/system/systemd/trust.ts',
      name: 'a keyring that comes along is kept by root, on the word of the keys before it and not of the agent',
    },
    {
      attack: 'root is asked to write receipts to a place that is not a medium',
      outcome: 'nothing is written',
      file: 'test/system/media-hostile.test.ts',
      name: 'a request that an agent which was taken over might write gives root nothing to do',
    },
  ],
  'Whoever may drop files': [
    {
      attack:
        'as many empty files, bogus files, files encrypted to strangers, folders or keyrings as there is room for',
      outcome:
        'the next good bundle is taken in bounded time, the agent uses at most 128 MB, and is not restarted',
      file: 'test/system/systemd/floods.ts',
      name: 'the next good bundle is taken within',
    },
    {
      attack: 'a file that kills the agent each time it is examined',
      outcome: 'after three times it is set aside, with a report, and the good one behind it is taken',
      file: 'test/target/cut-off.test.ts',
      name: 'has been cut off three times, the file is set aside, told, and the good one behind it taken',
    },
    {
      attack: 'links, FIFOs and hidden files in the inbox',
      outcome: 'nothing is followed, nothing hangs',
      file: 'test/target/inbox.test.ts',
      name: 'hidden files, links and FIFOs in the inbox do no harm',
    },
    {
      attack: 'a link in place of the inbox’s own folders',
      outcome: 'nothing is moved to where the link leads',
      file: 'test/target/inbox.test.ts',
      name: 'a link in the place of the inbox’s own folders leads nothing astray',
    },
  ],
  'Whoever hands over a medium': [
    {
      attack:
        'ext4, FAT and ISO 9660 whose superblock asks for a panic, with loops, nonsense, huge or too many partitions; plugged in, and present at startup',
      outcome:
        'no panic; each unusable one is named once; nothing is written if no receipt is due; the good one beside them is taken, and so is the next stick',
      file: 'test/vm/hostile-media.vm.ts',
      name: 'what can’t be used is named once, nothing panics, the good one beside them is taken',
    },
    {
      attack: 'the same, mounted by somebody else without `errors=remount-ro`',
      outcome: 'left alone, unread, and named once',
      file: 'test/vm/hostile-media.vm.ts',
      name: 'what others have mounted with a panic on errors is left alone',
    },
    {
      attack: 'a link where root writes its receipt',
      outcome: 'root writes nowhere else',
      file: 'test/system/media-hostile.test.ts',
      name: 'a link in the place of a folder does not make root write elsewhere',
    },
    {
      attack: 'pipes, links, a huge folder and ten thousand files',
      outcome: 'they hide nothing and hang nothing',
      file: 'test/system/media-hostile.test.ts',
      name: 'pipes, links, litter, a huge directory and ten thousand files hide nothing and hang nothing',
    },
    {
      attack:
        'names and texts that repaint a terminal or reverse its text, on a medium, in receipts, keyrings and journals',
      outcome: 'whatever verb shows them, what is printed is harmless',
      file: 'test/cli/hostile-text.test.ts',
      name: 'a medium with hostile names and receipts: inspect, collect, fleet',
    },
  ],
  'A machine of the fleet, against its desk': [
    {
      attack: 'a receipt under a former key, with the highest number there is, to stay the newest for ever',
      outcome: 'a number counts for its key only',
      file: 'test/desk/hostile-receipts.test.ts',
      name: 'a number counts for the key it was signed with',
    },
    {
      attack: 'a payload that a parser chokes on, under an invalid signature',
      outcome: 'nothing of it is read',
      file: 'test/desk/hostile-receipts.test.ts',
      name: 'nothing of a payload is read before its signature',
    },
    {
      attack: 'receipts as large and as numerous as possible',
      outcome: 'few are kept, one is in memory at a time, the newest counts',
      file: 'test/desk/hostile-receipts.test.ts',
      name: 'large receipts, many of them: the desk’s memory and folder stay small',
    },
    {
      attack: 'links, devices and files in the wrong place on the medium that is collected',
      outcome: 'they lead nowhere, and are reported',
      file: 'test/desk/hostile-receipts.test.ts',
      name: 'links, devices and files in the wrong place on a medium lead nowhere',
    },
  ],
};
