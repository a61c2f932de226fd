# The files generated from the options. A policy that the agent would reject fails the build, not the machine.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.nixmaker;
  json = pkgs.formats.json { };
  keys = import ./keys.nix { inherit lib; };
  # One key under two names is still one key.
  different = builtins.length (lib.unique (map keys.materialOf cfg.trustedPublicKeys));
  # The files have no null: what is not set is left out.
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
          echo "services.nixmaker: the policy or the settings are invalid, for the reason above" >&2
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
        message = "services.nixmaker.trustedPublicKeys is empty, so no bundle could ever be taken. Add the key printed by `nixmaker keygen`.";
      }
      {
        assertion = cfg.trustedPublicKeys == [ ] || cfg.policy.threshold <= different;
        message = "services.nixmaker.policy.threshold is ${toString cfg.policy.threshold}, but services.nixmaker.trustedPublicKeys has only ${toString different} different keys, so no bundle could ever be taken. Lower it, or add keys.";
      }
      {
        assertion = (cfg.diskScript != null) == (cfg.disks != [ ]);
        message = "services.nixmaker.diskScript and services.nixmaker.disks belong together: the script, and the disks it overwrites. Set both or neither.";
      }
      {
        assertion = cfg.policy.host != "";
        message = "services.nixmaker.policy.host is empty because networking.hostName is. Set it to the machine’s name in the flake.";
      }
    ];

    services.nixmaker.policy = {
      trustedKeys = map keys.trimmed cfg.trustedPublicKeys;
      health = lib.mkIf (cfg.health != null) cfg.health;
      hooks = lib.mkIf (builtins.any (hook: hook != null) (builtins.attrValues cfg.hooks)) cfg.hooks;
      inherit (cfg) reboot receipts;
      media = {
        mount = cfg.media.enable;
        inherit (cfg.media) labels fileSystems folders;
      };
      sources.servers = cfg.fetch.servers;
    };
    services.nixmaker.settings.media.roots = cfg.media.roots ++ lib.optional cfg.media.openUdisks "/media";

    environment.etc = {
      "nixmaker/policy.json".source = checked;
      "nixmaker/settings.json".source = settings;
    }
    // lib.optionalAttrs (cfg.diskScript != null) {
      "nixmaker/disk-script".source = cfg.diskScript;
      "nixmaker/disks.json".source = json.generate "nixmaker-disks.json" {
        schema = 1;
        inherit (cfg) disks;
      };
    };
  };
}
