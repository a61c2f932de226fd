# The files that the options become. A policy that the agent would not take fails the build, not the machine.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.nixmaker;
  json = pkgs.formats.json { };
  keyOf = entry: if builtins.isAttrs entry then entry.key else entry;
  keys = map keyOf cfg.trustedPublicKeys;
  # Nix's own kind; persons' SSH keys can't sign store paths.
  nixKeys = builtins.filter (key: builtins.match "[^:]+:[A-Za-z0-9+/]+=*" key != null) keys;
  # The files know no null: what is not set is not there.
  withoutNull =
    value:
    if builtins.isAttrs value then
      lib.mapAttrs (_: withoutNull) (lib.filterAttrs (_: v: v != null) value)
    else if builtins.isList value then
      map withoutNull value
    else
      value;
  settings = json.generate "nixmaker-settings.json" (withoutNull cfg.settings);
  policy = json.generate "nixmaker-policy.json" (withoutNull cfg.policy);
  checked =
    pkgs.runCommand "nixmaker-policy-checked.json" { nativeBuildInputs = [ cfg.package ]; }
      ''
        cp ${policy} policy.json
        cp ${settings} settings.json
        chmod 0644 policy.json settings.json
        if ! nixmaker check-policy --settings settings.json policy.json >says 2>&1; then
          cat says >&2
          echo "services.nixmaker: the policy or the settings can't be used, for the reason above" >&2
          exit 1
        fi
        cp policy.json $out
      '';
in
{
  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = cfg.trustedPublicKeys != [ ];
        message = "services.nixmaker.trustedPublicKeys is empty, so no bundle could ever be taken. Add the key that `nixmaker keygen` printed.";
      }
      {
        assertion = cfg.trustedPublicKeys == [ ] || cfg.policy.threshold <= builtins.length keys;
        message = "services.nixmaker.policy.threshold is ${toString cfg.policy.threshold}, but services.nixmaker.trustedPublicKeys has ${toString (builtins.length keys)}, so no bundle could ever be taken. Lower it or add keys.";
      }
      {
        assertion = cfg.policy.host != "";
        message = "services.nixmaker.policy.host is empty, for networking.hostName is. Set it to the name that the machine has in the flake.";
      }
    ];

    services.nixmaker.policy = {
      trustedKeys = cfg.trustedPublicKeys;
      health = lib.mkIf (cfg.health != null) cfg.health;
      inherit (cfg) reboot receipts;
      media = {
        mount = cfg.media.enable;
        inherit (cfg.media) labels fileSystems folders;
      };
    };
    services.nixmaker.settings.media.roots = cfg.media.roots ++ lib.optional cfg.media.openUdisks "/media";

    environment.etc."nixmaker/policy.json".source = checked;
    environment.etc."nixmaker/settings.json".source = settings;

    nix.settings.trusted-public-keys = nixKeys;
    # Without it a power cut leaves paths valid whose contents never reached the disk. nixmaker finds and mends those of
    # its own imports; this keeps them from coming to be, whoever imports.
    nix.settings.fsync-store-paths = lib.mkDefault true;
    # Where no key that Nix trusts has signed a bundle's paths, root vouches for what the manifest pins (docs/format.md §3).
    nix.extraOptions = lib.mkIf cfg.storeKey "!include /var/lib/nixmaker/activation/store-key.conf\n";
  };
}
