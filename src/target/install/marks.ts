/** By what a table of hosts may know the machine that we run on. */
import { join } from 'node:path';
import type { MachineMarks } from '../../core/install/hosts.ts';
import { isThere, namesIn, readIfThere } from '../../files/read.ts';
import { liveMachine } from '../machine/machine.ts';

/** @param sys sysfs(5) */
export async function machineMarks(sys = '/sys'): Promise<MachineMarks> {
  const read = async (path: string) => {
    const text = await readIfThere(join(sys, path)).catch(() => undefined);
    // The device tree’s strings end with a zero.
    return text?.replaceAll('\0', '').trim() || undefined;
  };
  const macs: string[] = [];
  for (const name of (await namesIn(join(sys, 'class/net'))).sort()) {
    // Bridges, tunnels and the like have no device behind them, and choose their addresses themselves.
    if (!(await isThere(join(sys, 'class/net', name, 'device')))) continue;
    const address = await read(join('class/net', name, 'address'));
    if (address !== undefined && address !== '00:00:00:00:00:00') macs.push(address.toLowerCase());
  }
  return {
    serial:
      (await read('class/dmi/id/product_serial')) ?? (await read('firmware/devicetree/base/serial-number')),
    macs: [...new Set(macs)],
    machineId: (await liveMachine()).machineId,
  };
}
