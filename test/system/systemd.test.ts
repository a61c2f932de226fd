/**
 * nixmaker's services under a real systemd, on one machine that lives through all of it: these run in this order, and each
 * goes on from where the one before has left the machine.
 */
import './systemd/service.ts';
import './systemd/killed.ts';
import './systemd/requests.ts';
import './systemd/switches.ts';
import './systemd/path-unit.ts';
import './systemd/root.ts';
import './systemd/hooks.ts';
import './systemd/trust.ts';
import './systemd/stolen-key.ts';
import './systemd/floods.ts';
import './systemd/request-floods.ts';
