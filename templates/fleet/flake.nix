{
  description = "Machines that are kept up to date by USB sticks";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
    nixmaker = {
      # Wherever you have nixmaker from; a folder works as well: path:/home/me/nixmaker.
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
