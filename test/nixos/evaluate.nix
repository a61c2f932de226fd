# Evaluates the module as nixpkgs would, with the machine's own options as far as the module sets them. `lib` is nixpkgs' own
# where NIXPKGS points at one, else test/nixos/nixpkgs/lib.nix. What the result holds is forced to the last value by JSON.
{
  # A module, as an operator writes it.
  machine,
  hasBootCounting ? true,
  # Where programs are: each package in a folder of its own, or all in one.
  place ? name: "/${name}",
  # What is imported besides it.
  modules ? [
    ../../nixos-module
    ../../nixos-module/installer.nix
  ],
}:
let
  nixpkgs = builtins.getEnv "NIXPKGS";
  lib = if nixpkgs == "" then import ./nixpkgs/lib.nix else import (/. + "${nixpkgs}/lib");
  # Such as `types.package` takes.
  package = pname: version: {
    type = "derivation";
    name = "${pname}-${version}";
    inherit pname version;
    outPath = place pname;
  };
  pkgs = {
    coreutils = package "coreutils" "9";
    gnutar = package "gnutar" "1";
    gzip = package "gzip" "1";
    util-linux = package "util-linux" "2";
    libnotify = package "libnotify" "0.8";
    nixmaker = package "nixmaker" "0";
    # For machines with another Nix than NixOS's own.
    nixCalled = package;
    # What it would run is what the test runs.
    runCommand = name: _: script: {
      type = "derivation";
      inherit name script;
      outPath = "/built/${name}";
    };
    formats.json = _: {
      type = lib.types.json or (import ./formats.nix { inherit lib; }).type;
      generate = name: value: "${builtins.toFile name (builtins.toJSON value)}";
    };
    # flake.nix makes the package with it, and nothing here looks into it.
    callPackage = _: _: package "nixmaker" "0";
  };

  evaluated = lib.evalModules {
    modules = [
      (import ./machine-options.nix {
        inherit lib package hasBootCounting;
      })
    ]
    ++ modules
    ++ [ machine ];
    specialArgs = { inherit pkgs; };
  };
  inherit (evaluated) config;

  # For docs/options.md: what nixpkgs would show.
  shown = option: option.visible && !option.internal;
  document =
    option:
    {
      inherit (option) name type description;
    }
    // lib.optionalAttrs (option ? default) { default = option.default.text; }
    // lib.optionalAttrs (option ? example) { example = option.example.text; };
in
{
  inherit config;
  inherit (config.services) nixmaker;
  failed = map (a: a.message) (builtins.filter (a: !a.assertion) config.assertions);
  policy = config.environment.etc."nixmaker/policy.json".source.script;
  settings = config.environment.etc."nixmaker/settings.json".source;
  nixKeys = config.nix.settings.trusted-public-keys;
  units = (builtins.head config.systemd.packages).script;
  udev = (builtins.head config.services.udev.packages).script;
  documentation = map document (
    builtins.filter shown (lib.optionAttrSetToDocList evaluated.options.services.nixmaker)
  );
}
