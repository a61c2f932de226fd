{
  description = "Three small machines to try nixmaker on";

  # No inputs: this flake is complete without a network. Its systems are built the way NixOS builds its own
  # (a `toplevel` with nixos-version, kernel, initrd, init and bin/switch-to-configuration), only very small.
  # For your machines use nixpkgs.lib.nixosSystem as always; nixmaker asks nothing of a flake but
  # `nixosConfigurations.<host>`.
  outputs =
    { self }:
    let
      mkSystem = import ./system.nix;
    in
    {
      nixosConfigurations = {
        first = mkSystem {
          hostName = "first";
          motd = "Engine room. Release ${builtins.readFile ./release}";
        };
        second = mkSystem {
          hostName = "second";
          motd = "Bridge. Release ${builtins.readFile ./release}";
        };
        third = mkSystem {
          hostName = "third";
          motd = "Galley. Release ${builtins.readFile ./release}";
        };
      };
    };
}
