/** A machine that is not let alone while it takes a release. */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { printDefaultSystem } from '../../machines/boot-menu.ts';
import { copyDisk, Vm } from '../../machines/vm.ts';
import { dropBundle } from '../../machines/vm-target.ts';
import { inbox, release, shop } from '../power-cut/scene.ts';

const events = ['kill the agent', 'kill root’s service', 'restart without sync', 'cut the power'] as const;
type Event = (typeof events)[number];

export interface Forced {
  readonly fileSystem: string;
  readonly release: number;
  readonly operation: string;
  readonly event: Event;
  /** Milliseconds from when the bundle was there. */
  readonly after: number;
  /** How far the run had come by then. */
  readonly found: string;
}

/** Milliseconds, for a machine among many on few processors. */
const patience = 600_000;

/** Longer than a run takes, in milliseconds: some events come after its end. */
const span = 6000;

const root = '/var/lib/nixmaker/activation';
const activation = `${root}/journal`;
const agent = '/var/lib/nixmaker/state/journal';

/** The last state that a journal has of a sequence. */
const stateIn = (journal: string, sequence: number) =>
  `grep '"sequence":${sequence}\\b' ${journal} 2>/dev/null | tail -n 1 | grep -o '"state":"[a-z-]*"' | cut -d'"' -f4`;

/** Numbers from 0 to 1 that a seed determines (mulberry32). */
function chance(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export class ForcedMachine {
  readonly #folder: string;
  readonly #fileSystem: string;
  readonly #random: () => number;
  #deck: Event[] = [];
  #vm: Vm;

  private constructor(vm: Vm, { fileSystem, seed }: { readonly fileSystem: string; readonly seed: number }) {
    this.#vm = vm;
    this.#folder = vm.folder;
    this.#fileSystem = fileSystem;
    this.#random = chance(seed);
  }

  static async boot(
    disk: string,
    of: { readonly fileSystem: string; readonly seed: number },
  ): Promise<ForcedMachine> {
    const folder = join(shop.folder, `forced-${of.fileSystem}`);
    await copyDisk(disk, folder);
    return new ForcedMachine(await Vm.boot(folder), of);
  }

  /** Until it is committed. */
  async take(n: number): Promise<Forced> {
    const operation = this.#random() < 0.3 ? 'boot' : 'switch';
    const event = this.#draw();
    const after = Math.floor(this.#random() * span);
    await this.#atRest();
    await this.#choose(operation);
    const sequence = n * 10 + 1;
    const bundle = await release(`forced-${n}`, n * 10, undefined, 2);
    await dropBundle(this.#vm, bundle, `.${n}.tar`);
    await this.#vm.sh(`cd ${inbox}; sync .${n}.tar; mv .${n}.tar ${n}.tar; sync .`);
    const found = await this.#happen(event, { after, sequence });
    await this.#committed(n, sequence);
    return { fileSystem: this.#fileSystem, release: n, operation, event, after, found };
  }

  /** Each event once, in any order, before one comes again. */
  #draw(): Event {
    if (this.#deck.length === 0) this.#deck = [...events];
    const [event] = this.#deck.splice(Math.floor(this.#random() * this.#deck.length), 1);
    return event as Event;
  }

  /** What a machine must be like after all of it. @param count releases taken */
  async requireSound(count: number): Promise<void> {
    await this.#atRest();
    const read = `readlink /run/current-system; readlink -f /nix/var/nix/profiles/system; ${printDefaultSystem}; cut -d' ' -f1 /run/current-system/etc/motd; ls -A ${inbox} | grep -c '\\.tar$' || true`;
    const [running, installed, starts, motd, left] = (await this.#vm.sh(read)).trim().split('\n');
    assert.equal(motd, `forced-${count}`);
    assert.equal(running, installed, 'what runs is what is installed');
    assert.equal(starts, installed, 'what is installed is what starts');
    assert.equal(left, '0', 'nothing waits');
    const floor = JSON.parse(await this.#vm.sh('nixmaker floor --json')) as { floor: { sequence: number } };
    assert.equal(floor.floor.sequence, count * 10 + 1);
    const doctor = await this.#vm.try('nixmaker doctor --json');
    const { checks } = JSON.parse(doctor.output) as {
      checks: { check: string; verdict: string; what: string }[];
    };
    for (const check of ['floor', 'journal', 'run', 'held', 'requests', 'boot', 'system'])
      assert.deepEqual(
        checks.filter((c) => c.check === check && c.verdict === 'bad'),
        [],
      );
  }

  /** What Nix finds wrong with the whole store, in its words; after the machine’s own look at its start. */
  async damage(): Promise<string[]> {
    await this.#atRest();
    const { output } = await this.#vm.try('nix-store --verify --check-contents 2>&1');
    return output.split('\n').filter((line) => /was modified|disappeared|error:/.test(line));
  }

  async end(): Promise<void> {
    await this.#vm.cutPower();
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** @returns the state the run had come to */
  async #happen(
    event: Event,
    { after, sequence }: { readonly after: number; readonly sequence: number },
  ): Promise<string> {
    const look = `sleep ${after / 1000}; s=$(${stateIn(activation, sequence)}); [ -n "$s" ] || s=$(${stateIn(agent, sequence)}); echo "\${s:-nothing}"`;
    const kill = (unit: string) => `${look}; systemctl kill --signal KILL ${unit} 2>/dev/null || true`;
    if (event === 'kill the agent') return (await this.#vm.sh(kill('nixmaker.service'))).trim();
    if (event === 'kill root’s service') return (await this.#vm.sh(kill('nixmaker-activate.service'))).trim();
    const found = (await this.#vm.sh(look)).trim();
    if (event === 'restart without sync') {
      this.#vm.post('echo b >/proc/sysrq-trigger');
      await this.#vm.restarted(patience);
    } else {
      await this.#vm.cutPower();
      this.#vm = await Vm.boot(this.#folder);
    }
    return found;
  }

  /** A release that was installed for the next start gets one, in order. Told by what the machine is, and not by any run’s last word. */
  async #committed(n: number, sequence: number): Promise<void> {
    const [profile, current] = ['/nix/var/nix/profiles/system', '/run/current-system'];
    const isNew = (system: string) => `test "$(cut -d' ' -f1 ${system}/etc/motd)" = forced-${n}`;
    const isSame = `test "$(readlink -f ${profile})" = "$(readlink ${current})"`;
    await this.#atRest();
    await this.#vm.until(`test ! -e ${inbox}/${n}.tar; ${isNew(profile)}`, patience);
    await this.#atRest();
    if ((await this.#vm.try(isSame)).code !== 0) {
      this.#vm.post('systemctl reboot');
      await this.#vm.restarted(patience);
    }
    const isFloor = `grep -q '"sequence":${sequence}\\b' ${root}/floor.a ${root}/floor.b`;
    await this.#vm.until(`${isFloor}; ${isSame}; ${isNew(current)}`, patience);
  }

  async #atRest(): Promise<void> {
    await this.#vm.until(
      `journalctl --boot --no-pager --output=cat --unit nixmaker | grep -q agent-ready
      case $(systemctl show --property ActiveState --value nixmaker-activate.service) in inactive | failed) ;; *) exit 1 ;; esac
      test "$(systemctl is-active nixmaker-confirm.service)" != activating`,
      patience,
    );
  }

  async #choose(operation: string): Promise<void> {
    const file = '/etc/nixmaker/policy.json';
    if ((await this.#vm.sh(`grep -c '"operation":"${operation}"' ${file} || true`)).trim() !== '0') return;
    await this.#vm.sh(
      `sed 's/"operation":"[a-z]*"/"operation":"${operation}"/' ${file} >${file}.new; sync ${file}.new; mv ${file}.new ${file}; sync /etc/nixmaker; systemctl restart nixmaker.service`,
    );
  }
}
