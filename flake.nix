{
  description = "Updates for NixOS machines that nothing can reach over a network";

  # Only for what is built; the module takes nixpkgs from the machine it is in. No lock is kept here: let it follow yours
  # (`inputs.nixmaker.inputs.nixpkgs.follows = "nixpkgs"`).
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      forAll = make: lib.genAttrs systems (system: make nixpkgs.legacyPackages.${system});
    in
    {
      nixosModules.default =
        { lib, pkgs, ... }:
        {
          imports = [ ./nixos-module ];
          services.nixmaker.package = lib.mkDefault (pkgs.callPackage ./nix/package.nix { });
        };
      nixosModules.nixmaker = self.nixosModules.default;

      overlays.default = final: _: {
        nixmaker = final.callPackage ./nix/package.nix { };
      };

      packages = forAll (pkgs: rec {
        nixmaker = pkgs.callPackage ./nix/package.nix { };
        default = nixmaker;
      });

      apps = forAll (pkgs: {
        default = {
          type = "app";
          program = "${self.packages.${pkgs.stdenv.hostPlatform.system}.default}/bin/nixmaker";
          meta.description = "nixmaker's command line";
        };
      });

      # { nixosConfigurations, pkgs, hosts ?, sequence } -> one unsigned bundle a host.
      lib.mkBundles =
        arguments:
        import ./nix/mk-bundles.nix (
          arguments // { pkgs = arguments.pkgs.extend self.overlays.default; }
        );

      # Machines of their own, in QEMU: they need nixpkgs and KVM, and can't run where this project is developed.
      checks = forAll (
        pkgs:
        {
          package = self.packages.${pkgs.stdenv.hostPlatform.system}.default;
        }
        // import ./test/nixos {
          inherit pkgs;
          module = self.nixosModules.default;
        }
      );

      formatter = forAll (pkgs: pkgs.nixfmt-rfc-style);

      devShells = forAll (pkgs: {
        default = pkgs.mkShell {
          packages = [
            pkgs.nodejs_24
            pkgs.nixfmt-rfc-style
          ];
        };
      });

      templates.default = {
        path = ./templates/fleet;
        description = "Machines that are kept up to date by USB sticks";
        welcomeText = ''
          Next: `nixmaker keygen fleet-1`, put the public key into machines/common.nix, and install the machines as ever.
          From then on: `nixmaker put /media/stick --flake . --key fleet-1.secret`.
        '';
      };
    };
}
