# As much of nixpkgs as flake.nix asks for, so that `nix flake check --offline` can evaluate all of it. Packages are stand-ins
# that say what they were made of.
{
  description = "stand-in for nixpkgs";
  outputs =
    { self }:
    let
      lib = import ./lib.nix // {
        importJSON = path: builtins.fromJSON (builtins.readFile path);
        makeBinPath = packages: builtins.concatStringsSep ":" (map (package: "${package}/bin") packages);
        licenses.mit = "MIT";
        platforms.linux = [ ];
        fileset = {
          unions = paths: paths;
          # The real one copies just these; here it matters that they are there.
          toSource =
            { root, fileset }:
            builtins.seq (map (
              path: if builtins.pathExists path then path else throw "${toString path} is not there"
            ) fileset) root;
        };
        # Every node is a module that NixOS could be made of; its script is Python for whoever has the real one.
        testScriptOf =
          test:
          let
            node.system.build.toplevel = {
              outPath = "/nix/store/${name}-nixos-system";
              drvPath = "/nix/store/${name}-nixos-system.drv";
            };
            name = builtins.substring 0 32 (builtins.hashString "sha256" test.name);
            nodes = builtins.mapAttrs (_: _: node) test.nodes;
            script = if builtins.isFunction test.testScript then test.testScript { inherit nodes; } else test.testScript;
          in
          builtins.deepSeq (builtins.mapAttrs (
            _: node: builtins.isFunction node || builtins.isAttrs node
          ) test.nodes) script;
        nixosSystem =
          { modules }:
          {
            config.system.build.toplevel = builtins.deepSeq (builtins.length modules) (standIn "x86_64-linux" "nixos-system" { });
          };
      };
      standIn =
        system: name: more:
        derivation (
          {
            inherit name system;
            builder = "/bin/sh";
            args = [
              "-c"
              "echo >$out"
            ];
          }
          // more
        );
      packagesFor =
        system:
        let
          make = standIn system;
          pkgs = {
            inherit lib;
            path = ./.;
            callPackage =
              path: more:
              let
                function = import path;
              in
              function (builtins.intersectAttrs (builtins.functionArgs function) pkgs // more);
            extend = overlay: pkgs // overlay pkgs pkgs;
            stdenv.hostPlatform.system = system;
            importNpmLock = {
              __functor = _: { npmRoot }: builtins.seq (lib.importJSON (npmRoot + "/package-lock.json")) "lock";
              # As callPackages makes it: with `override`, by what its own file takes.
              hooks.npmConfigHook.override = { nodejs }: builtins.seq nodejs.outPath "hook";
            };
            buildNpmPackage =
              {
                pname,
                version,
                buildPhase,
                postInstall,
                npmConfigHook,
                passthru,
                meta,
                ...
              }:
              make "${pname}-${version}" { inherit buildPhase postInstall npmConfigHook; } // { inherit passthru meta; };
            mkBinaryCache = { name, ... }: make name { };
            runCommand =
              name: more: script:
              make name (more // { inherit script; });
            mkShell = { packages }: make "shell" { inherit packages; };
            testers.runNixOSTest = test: make "vm-test-${test.name}" { testScript = lib.testScriptOf test; };
          }
          // builtins.listToAttrs (
            map (name: {
              inherit name;
              value = make name { };
            }) [
              "coreutils"
              "gnutar"
              "gzip"
              "makeWrapper"
              "nixfmt"
              "nodejs_24"
              "util-linux"
            ]
          );
        in
        pkgs;
    in
    {
      inherit lib;
      legacyPackages = lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] packagesFor;
    };
}
