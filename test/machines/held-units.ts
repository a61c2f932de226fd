/** Drop-ins under which the services stand still where a test wants them to (held-service.ts). */
import { unitText } from './bed.ts';

export const units = [
  'nixmaker.service',
  'nixmaker-activate.path',
  'nixmaker-activate.service',
  'nixmaker-confirm.service',
  'nixmaker-deadline.service',
  'nixmaker-reboot.service',
];

const held = { nixmaker: 'agent', 'nixmaker-activate': 'activate', 'nixmaker-confirm': 'confirm' };

/**
 * The units of systemd/ and the drop-ins, by the path at which a machine looks for them.
 * @param command how held-service.ts is started there
 */
export function heldUnitFiles(command: string): Map<string, string> {
  const files = new Map(units.map((unit) => [`/etc/systemd/system/${unit}`, unitText(unit)]));
  for (const [unit, who] of Object.entries(held)) {
    const lines = [
      '[Unit]',
      'StartLimitIntervalSec=0',
      '[Service]',
      'ExecStart=',
      `ExecStart=${command.replace('%s', who)}`,
      'ReadWritePaths=/run/hold /var/cache/node',
      'Environment=NODE_COMPILE_CACHE=/var/cache/node',
      ...(who === 'confirm' ? [] : ['RestartSec=100ms']),
    ];
    files.set(`/etc/systemd/system/${unit}.service.d/held.conf`, `${lines.join('\n')}\n`);
  }
  files.set('/etc/tmpfiles.d/held.conf', 'd /run/hold 1777\nd /var/cache/node 1777\n');
  return files;
}
