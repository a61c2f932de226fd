# The machine “engine”: its hardware, disks and services.
{
  # imports = [ ./engine-hardware.nix ];
}
