/** Two examples for each verb, for its help, docs/commands.md and nixmaker(1). */

export interface Example {
  readonly call: string;
  /** What it does, in a few words. */
  readonly does: string;
}

/** By the words that make up the verb. */
export const examples: Readonly<Record<string, readonly (readonly [call: string, does: string])[]>> = {
  list: [
    ['list --flake ./machines', 'the hosts of a folder’s flake'],
    ['list --flake github:me/machines --json', 'the same of a remote flake, as JSON'],
  ],
  build: [
    ['build --flake ./machines -d out --key fleet-1.secret', 'every host, signed'],
    ['build -f ./machines -d out --key fleet-1.secret --host "ship-*"', 'only some hosts'],
  ],
  pack: [
    [
      'pack cache --host web --system x86_64-linux --toplevel "$TOP" --derivation "$DRV"',
      'an unsigned bundle from a cache folder',
    ],
    [
      'pack cache -d out --sequence 7 --host web --system x86_64-linux --toplevel "$TOP" --derivation "$DRV"',
      'with a sequence of at least 8, into out/web/web.tar',
    ],
  ],
  verify: [
    ['verify --key fleet-1.public out/web/web.tar', 'signature, layout and every byte'],
    ['verify --key fleet-1.public --host web --json web.tar', 'also the host; JSON for scripts'],
  ],
  sbom: [
    ['sbom out/web/web.tar', 'every store path, as CycloneDX'],
    ['sbom out/web/web.tar >web.cdx.json', 'into a file'],
  ],
  fleet: [],
  'fleet show': [
    ['fleet', 'a table of all hosts'],
    ['fleet --html fleet.html --bundles out', 'a page, with what the next stick needs'],
  ],
  'fleet keys': [
    ['fleet keys web', 'the SSH host key of one host'],
    ['fleet keys --json', 'of all, with the recipients for bundles'],
  ],
  'fleet expect': [
    ['fleet expect engine bridge', 'list both, even before they report'],
    ['fleet expect lab -d lab-fleet', 'in another fleet folder'],
  ],
  'fleet retire': [
    ['fleet retire engine --reason "scrapped in March"', 'no longer list it'],
    ['fleet retire lab -d lab-fleet --reason "moved"', 'in another fleet folder'],
  ],
  put: [
    ['put /media/stick out/*/*.tar', 'copy bundles and read them back'],
    ['put discs out/web/web.tar --size 700M', 'as images for discs'],
  ],
  inspect: [
    ['inspect /media/stick', 'what is on a stick'],
    ['inspect web.tar --paths', 'what a bundle contains'],
  ],
  collect: [
    ['collect /media/stick', 'store the receipts of known hosts'],
    ['collect /media/stick --enrol', 'also trust the keys of new hosts'],
  ],
  hosts: [],
  'hosts make': [
    ['hosts make machines.json machines.hosts', 'create a table, not signed yet'],
    ['hosts make yard-2.json yard-2.hosts', 'one for another medium'],
  ],
  'hosts sign': [
    ['hosts sign --key fleet-1.secret machines.hosts', 'with a key file'],
    ['hosts sign --ssh-key ~/.ssh/id_ed25519.pub --name anna machines.hosts', 'with an SSH key'],
  ],
  'hosts show': [
    ['hosts show machines.hosts', 'which machine is to be which host'],
    ['hosts show machines.hosts --json', 'the same as JSON'],
  ],
  install: [
    ['install /media/stick --root /mnt --host web --key fleet-1.public', 'from a stick'],
    ['install web.tar --root /mnt --keyring 3.keyring --dry-run', 'only check a bundle'],
  ],
  agent: [
    ['agent --once', 'take what is in the inbox, then exit'],
    ['agent --once --json', 'the same, with receipts as JSON'],
  ],
  switch: [
    ['switch web.tar', 'install a bundle and switch to it'],
    ['switch - <web.tar', 'the same from standard input'],
  ],
  boot: [
    ['boot web.tar', 'install a bundle for the next start'],
    ['boot - <web.tar', 'the same from standard input'],
  ],
  test: [
    ['test web.tar', 'try a bundle until the next start'],
    ['test web.tar --json', 'the same, with the receipt as JSON'],
  ],
  'dry-activate': [
    ['dry-activate web.tar', 'what a switch would do'],
    ['dry-activate web.tar --json', 'the same as JSON'],
  ],
  status: [
    ['status', 'what runs and how the last bundle ended'],
    ['status --watch', 'keep showing every change'],
  ],
  serve: [
    ['serve /media/stick', 'to the machines of this network'],
    ['serve /media/stick --no-receipts', 'and take nothing back'],
  ],
  fetch: [
    ['fetch', 'from the servers in the policy'],
    ['fetch https://updates.example/fleet --ca ca.pem', 'from this one'],
  ],
  history: [
    ['history', 'every bundle and how it ended'],
    ['history --json', 'the same as JSON'],
  ],
  events: [
    ['events', 'every step so far'],
    ['events --follow --json', 'each step as it happens, for programs'],
  ],
  diff: [
    ['diff', 'running system against the installed one'],
    ['diff web.tar', 'running system against a bundle'],
  ],
  doctor: [
    ['doctor', 'check this machine; as root, its agent too'],
    ['doctor --json', 'the same as JSON'],
  ],
  metrics: [
    ['metrics', 'print all metrics'],
    ['metrics >/var/lib/node-exporter/nixmaker.prom', 'for node_exporter’s textfile collector'],
  ],
  explain: [
    ['explain sequence-older', 'what a code means and what to do'],
    ['explain', 'all codes'],
  ],
  rollback: [
    ['rollback', 'back to the previous generation'],
    ['rollback --to 41', 'back to generation 41'],
  ],
  hold: [
    ['hold 17', 'do not take release 17'],
    ['hold 17 --because "screen stays dark"', 'the same, with a reason'],
  ],
  release: [
    ['release 17', 'allow release 17 again'],
    ['release --all', 'free all held releases'],
  ],
  repair: [
    ['repair', 'find what is damaged, and repair it from what is at hand'],
    ['repair /media/stick', 'from the bundles on this stick'],
  ],
  approve: [
    ['approve', 'install what the machine is asking about'],
    ['approve --refuse', 'not now'],
  ],
  confirm: [
    ['confirm', 'check the new system and keep it'],
    ['confirm --json', 'the same, with the receipt as JSON'],
  ],
  'check-policy': [
    ['check-policy /etc/nixmaker/policy.json', 'the policy in plain words'],
    ['check-policy /etc/nixmaker/policy.json web.tar', 'what it means for a bundle'],
  ],
  floor: [],
  'floor show': [
    ['floor', 'the newest sequence taken'],
    ['floor --json', 'the same as JSON'],
  ],
  'floor adopt': [
    ['floor adopt', 'restore a lost floor from the journal'],
    ['floor adopt --sequence 17', 'restore it to a sequence you know'],
  ],
  keygen: [
    ['keygen fleet-1', 'fleet-1.secret and fleet-1.public, here'],
    ['keygen fleet-2 --from fleet-2.pem', 'only the public file, of a key in an HSM'],
  ],
  sign: [
    ['sign --key fleet-1.secret out/*/*.tar', 'with a key file'],
    ['sign --ssh-key ~/.ssh/id_ed25519.pub --name anna web.tar', 'with a person’s SSH key'],
  ],
  encrypt: [
    ['encrypt --to-host web out/web/web.tar', 'to the key that its receipts name'],
    ['encrypt --to recipients.txt out/*/*.tar', 'for all recipients in a file'],
  ],
  keyring: [],
  'keyring make': [
    ['keyring make keys.json 1.keyring', 'create version 1, not signed yet'],
    ['keyring make keys.json 2.keyring', 'create the next version'],
  ],
  'keyring sign': [
    ['keyring sign --key fleet-1.secret 1.keyring', 'with a key file'],
    ['keyring sign --ssh-key ~/.ssh/id_ed25519.pub --name anna 1.keyring', 'with an SSH key'],
  ],
  'keyring show': [
    ['keyring show 1.keyring', 'its keys in plain words'],
    ['keyring show 1.keyring --json', 'the same as JSON'],
  ],
  'keyring accept': [
    ['keyring accept 1.keyring', 'trust its keys from now on'],
    ['keyring accept /media/stick/2.keyring', 'the same from a stick'],
  ],
  'host-key': [
    ['host-key', 'compare it with what `collect` shows'],
    ['host-key --json', 'the same as JSON'],
  ],
  'age-key': [
    ['age-key', 'the recipient for `encrypt --to`'],
    ['age-key --json', 'the same as JSON'],
  ],
  'store-key': [
    ['store-key', 'create the key and print it'],
    ['store-key --json', 'the same as JSON'],
  ],
};

export const examplesOf = (words: readonly string[]): Example[] =>
  (examples[words.join(' ')] ?? []).map(([call, does]) => ({ call: `nixmaker ${call}`, does }));
