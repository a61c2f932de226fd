import './systemd/floods.ts';
