/** Has systemd start one of our own units, now or later. */
import type { ProcessRunner } from '../core/ports.ts';

const startOf = (service: string) => ['systemctl', 'start', '--no-block', service] as const;

/** Requests it and does not wait. */
export async function startUnit(run: ProcessRunner, service: string): Promise<void> {
  const [program, ...args] = startOf(service);
  await run(program, args);
}

/** Has it started after a while, whatever becomes of us. @param timer names the transient timer */
export async function startUnitLater(
  run: ProcessRunner,
  { service, seconds, timer }: { service: string; seconds: number; timer: string },
): Promise<void> {
  await run('systemd-run', [
    // Unless its accuracy is set, a timer may be a minute late (systemd.timer(5)).
    ...['--collect', '--quiet', '--timer-property=AccuracySec=1s'],
    ...[`--on-active=${seconds}`, `--unit=${timer}`, '--', ...startOf(service)],
  ]);
}
