# What all machines have in common.
{
  services.nixmaker = {
    enable = true;
    # What `nixmaker keygen fleet-1` prints. The secret half stays at the desk.
    trustedPublicKeys = [ ];
    # Sticks are mounted by nixmaker, read-only; for desktops see media.openUdisks.
    media.enable = true;
    # `boot`: from the next start on. `switch`: at once, and back again where the checks say no.
    policy.operation = "boot";
    health = { };
  };
}
