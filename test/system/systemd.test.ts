/**
 * nixmaker's services under a real systemd, on one machine that lives through all of it: these run in this order, and each
 * goes on from where the one before has left the machine. Static imports that wait for something would run in the order in
 * which they have waited.
 */
await import('./systemd/service.ts');
await import('./systemd/killed.ts');
await import('./systemd/requests.ts');
await import('./systemd/switches.ts');
await import('./systemd/path-unit.ts');
await import('./systemd/root.ts');
await import('./systemd/hooks.ts');
await import('./systemd/trust.ts');
await import('./systemd/stolen-key.ts');
await import('./systemd/floods.ts');
await import('./systemd/request-floods.ts');
