/**
 * nixmaker's services under a real systemd, on one machine that lives through all of it: these run in this order, and each
 * goes on from where the one before has left the machine. Static imports that wait for something would run in the order in
 * which they have waited. From path-unit.ts on they take turns.
 */
import { isItsTurn } from '../support/cases.ts';

await import('./systemd/service.ts');
await import('./systemd/killed.ts');
await import('./systemd/requests.ts');
await import('./systemd/switches.ts');
if (isItsTurn(0)) {
  await import('./systemd/path-unit.ts');
  await import('./systemd/root.ts');
}
if (isItsTurn(1)) {
  await import('./systemd/hooks.ts');
  await import('./systemd/trust.ts');
}
if (isItsTurn(2)) {
  await import('./systemd/stolen-key.ts');
  await import('./systemd/floods.ts');
}
if (isItsTurn(3)) await import('./systemd/request-floods.ts');
