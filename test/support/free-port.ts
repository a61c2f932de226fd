/** A port for a server that is about to start. */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';

export async function freePort(address = '::1'): Promise<number> {
  const taken = createServer().listen(0, address);
  await once(taken, 'listening');
  const { port } = taken.address() as AddressInfo;
  taken.close();
  await once(taken, 'close');
  return port;
}
