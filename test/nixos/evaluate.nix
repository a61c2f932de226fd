# Evaluates the module as nixpkgs would, with the machine's own options as far as the module sets them. `lib` is nixpkgs' own
# where NIXPKGS points at one, else test/nixos/nixpkgs/lib.nix. What the result holds is forced to the last value by JSON.
{
  # A module, as an operator writes it.
  machine,
  hasBootCounting ? true,
  # Where programs are: each package in a folder of its own, or all in one.
  place ? name: "/${name}",
}:
let
  nixpkgs = builtins.getEnv "NIXPKGS";
  lib = if nixpkgs == "" then import ./nixpkgs/lib.nix else import (/. + "${nixpkgs}/lib");
  pkgs = {
    coreutils = place "coreutils";
    gnutar = place "gnutar";
    gzip = place "gzip";
    util-linux = place "util-linux";
    nixmaker = place "nixmaker";
    # What it would run is what the test runs.
    runCommand = name: _: script: {
      inherit name script;
    };
    formats.json = _: {
      type = if nixpkgs == "" then lib.types.json else (import ./formats.nix { inherit lib; }).type;
      generate = name: value: "${builtins.toFile name (builtins.toJSON value)}";
    };
  };
  inherit (lib) mkOption types;
  value = default: type: mkOption { inherit default type; };
  attrs = value { } (types.attrsOf types.raw);
  strings = value [ ] (types.listOf types.str);

  # The options of NixOS that the module reads or sets.
  nixos = {
    options = {
      assertions = value [ ] (types.listOf types.raw);
      meta.maintainers = value [ ] (types.listOf types.raw);
      networking.hostName = value "web" types.str;
      time.timeZone = value null (types.nullOr types.str);
      nix.package = value (place "nix") types.raw;
      nix.extraOptions = value "" types.lines;
      nix.settings = mkOption {
        default = { };
        type = types.submodule {
          freeformType = types.attrsOf types.raw;
          options.trusted-public-keys = strings;
        };
      };
      environment.etc = attrs;
      environment.systemPackages = value [ ] (types.listOf types.raw);
      users.users = attrs;
      users.groups = value { } (types.attrsOf (types.submodule { options.members = strings; }));
      services.openssh.enable = value false types.bool;
      services.openssh.extraConfig = value "" types.lines;
      services.udisks2.enable = value false types.bool;
      services.udev.packages = value [ ] (types.listOf types.raw);
      systemd.package = value (place "systemd") types.raw;
      systemd.packages = value [ ] (types.listOf types.raw);
      systemd.paths = attrs;
      systemd.services = value { } (
        types.attrsOf (
          types.submodule {
            options = {
              path = value [ ] (types.listOf types.raw);
              wantedBy = strings;
              requiredBy = strings;
              restartIfChanged = value true types.bool;
              stopIfChanged = value true types.bool;
              unitConfig = attrs;
              serviceConfig = attrs;
            };
          }
        )
      );
      systemd.tmpfiles.rules = strings;
    }
    // lib.optionalAttrs hasBootCounting {
      boot.loader.systemd-boot.bootCounting.enable = value false types.bool;
    };
  };

  evaluated = lib.evalModules {
    modules = [
      nixos
      ../../nixos-module
      machine
    ];
    specialArgs = { inherit pkgs; };
  };
  inherit (evaluated) config;

  # For docs/options.md.
  text = value: if value ? text then value.text else builtins.toJSON value;
  describe =
    prefix: options:
    builtins.concatLists (
      map (
        name:
        let
          option = options.${name};
          here = "${prefix}.${name}";
        in
        if !lib.isOption option then
          describe here option
        else if option.internal or false then
          [ ]
        else
          [
            (
              {
                name = here;
                type = option.type.description;
                inherit (option) description;
              }
              // lib.optionalAttrs (option ? default) { default = text (option.defaultText or option.default); }
              // lib.optionalAttrs (option ? example) { example = text option.example; }
            )
          ]
          ++ describe "${here}${option.type.between or ""}" (option.type.options or { })
      ) (builtins.attrNames options)
    );
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
  documentation = describe "services.nixmaker" evaluated.options.services.nixmaker;
}
