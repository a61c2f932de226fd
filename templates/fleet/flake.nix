{
  description = "NixOS machines updated by USB stick";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
    nixmaker = {
      # Wherever you got nixmaker from. A folder works too: path:/home/me/nixmaker.
      url = "github:OWNER/nixmaker";
      inputs.nixpkgs.follows = "nixpkgs";
    };
  };

  outputs =
    { nixpkgs, nixmaker, ... }:
    let
      machine =
        name:
        nixpkgs.lib.nixosSystem {
          modules = [
            nixmaker.nixosModules.default
            ./machines/common.nix
            ./machines/${name}.nix
            { networking.hostName = name; }
          ];
        };
    in
    {
      nixosConfigurations = {
        engine = machine "engine";
        bridge = machine "bridge";
      };
    };
}
