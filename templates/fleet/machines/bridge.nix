# The machine “bridge”: its own hardware, disks and services.
{
  # imports = [ ./bridge-hardware.nix ];
}
