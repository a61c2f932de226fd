{
  description = "Updates for NixOS machines that nothing can reach over a network";

  # Only for what is built; the module takes nixpkgs from the machine it is in. Let it follow yours
  # (`inputs.nixmaker.inputs.nixpkgs.follows = "nixpkgs"`); the lock is for commands that name this flake itself.
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
      packageFor =
        pkgs:
        pkgs.callPackage ./nix/package.nix {
          nixmakerTests = testsFor pkgs;
        };
      testsFor =
        pkgs:
        import ./test/nixos {
          inherit pkgs;
          module = self.nixosModules.default;
        };
    in
    {
      # With a key, for a machine may get it by two ways; and a name, for messages.
      nixosModules.default = rec {
        _file = "${self.outPath}/flake.nix#nixosModules.default";
        key = _file;
        imports = [
          (
            { lib, pkgs, ... }:
            {
              imports = [ ./nixos-module ];
              services.nixmaker.package = lib.mkDefault (packageFor pkgs);
            }
          )
        ];
      };
      nixosModules.nixmaker = self.nixosModules.default;

      # For a live image: it installs the machine that it is started on.
      nixosModules.installer = rec {
        _file = "${self.outPath}/flake.nix#nixosModules.installer";
        key = _file;
        imports = [
          (
            { lib, pkgs, ... }:
            {
              imports = [ ./nixos-module/installer.nix ];
              services.nixmaker.installer.package = lib.mkDefault (packageFor pkgs);
            }
          )
        ];
      };

      overlays.default = final: _: {
        nixmaker = packageFor final;
      };

      packages = forAll (pkgs: rec {
        nixmaker = packageFor pkgs;
        default = nixmaker;
      });

      apps = forAll (pkgs: {
        default = {
          type = "app";
          program = "${self.packages.${pkgs.stdenv.hostPlatform.system}.default}/bin/nixmaker";
          meta.description = "nixmaker command line";
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
        // testsFor pkgs
      );

      formatter = forAll (pkgs: pkgs.nixfmt);

      devShells = forAll (pkgs: {
        default = pkgs.mkShell {
          packages = [
            pkgs.nodejs_24
            pkgs.nixfmt
          ];
        };
      });

      templates.default = {
        path = ./templates/fleet;
        description = "NixOS machines updated by USB stick";
        welcomeText = ''
          Next: `nixmaker keygen fleet-1`, put the public key into machines/common.nix, and install the machines as ever.
          From then on: `nixmaker put /media/stick --flake . --key fleet-1.secret`.
        '';
      };
    };
}
