# Evaluates the module without nixpkgs: just enough of lib and pkgs for what the module uses, with the options' values
# given outright. Real option types come with nixpkgs; this shows what the module makes of its values.
{
  trustedPublicKeys,
  operation,
}:
let
  lib = {
    mkEnableOption = description: { inherit description; };
    mkOption = option: option;
    mkIf = condition: value: if condition then value else { };
    literalExpression = text: text;
    genAttrs =
      names: make:
      builtins.listToAttrs (
        map (name: {
          inherit name;
          value = make name;
        }) names
      );
    optional = condition: value: if condition then [ value ] else [ ];
    types = {
      package = "package";
      str = "str";
      int = "int";
      listOf = type: type;
      enum = values: values;
      submodule = module: module;
    };
  };
  pkgs = {
    coreutils = "/coreutils";
    gnutar = "/gnutar";
    gzip = "/gzip";
    util-linux = "/util-linux";
    # What it would run is what the test runs.
    runCommand = name: _: script: { inherit name script; };
    formats.json = _: {
      type = "json";
      generate = name: value: builtins.toJSON value;
    };
  };
  config = {
    networking.hostName = "web";
    nix.package = "/nix-package";
    systemd.package = "/systemd";
    services.nixmaker = {
      enable = true;
      package = "/nixmaker";
      settings = { };
      inherit trustedPublicKeys;
      policy = {
        schema = 1;
        host = config.networking.hostName;
        inherit operation;
        trustedKeys = module.config.services.nixmaker.policy.trustedKeys;
      };
    };
  };
  module = import ../../nixos-module { inherit config lib pkgs; };
in
{
  policy = module.config.environment.etc."nixmaker/policy.json".source;
  settings = module.config.environment.etc."nixmaker/settings.json".source;
  nixKeys = module.config.nix.settings.trusted-public-keys;
  failed = map (a: a.message) (builtins.filter (a: !a.assertion) module.config.assertions);
  users = module.config.users;
  units = (builtins.head module.config.systemd.packages).script;
  inherit (module.config.systemd) services paths;
}
