# The machine “engine”: its own hardware, disks and services.
{
  # imports = [ ./engine-hardware.nix ];
}
