# Shared by all machines.
{
  services.nixmaker = {
    enable = true;
    # The line printed by `nixmaker keygen fleet-1`. The secret half stays at the desk.
    trustedPublicKeys = [ ];
    # nixmaker mounts sticks itself, read-only. With a desktop, use media.openUdisks instead.
    media.enable = true;
    # `boot`: from the next start. `switch`: at once, with a rollback if the health checks fail.
    policy.operation = "boot";
    health = { };
  };
}
