/** What people do at a machine, on one of its own. */
import './systemd/hands.ts';
