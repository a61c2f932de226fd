/**
 * Media at a machine on which nobody else mounts them: udev, nixmaker-medium@.service, plugged, pulled, plugged again; file
 * systems and partition tables; devices that fail and devices that stall. What needs USB itself is in hot-plug.vm.ts.
 */
import './media/sticks.ts';
import './media/devices.ts';
