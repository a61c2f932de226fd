# The machine “bridge”: its hardware, disks and services.
{
  # imports = [ ./bridge-hardware.nix ];
}
