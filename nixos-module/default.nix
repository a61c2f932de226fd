# services.nixmaker: the target's agent as a NixOS service.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.nixmaker;
  json = pkgs.formats.json { };

  path = [
    config.nix.package
    pkgs.coreutils
    pkgs.gnutar
    pkgs.gzip
    pkgs.util-linux
    config.systemd.package
  ];

  udevRules = pkgs.runCommand "nixmaker-udev-rules" { } ''
    mkdir -p $out/lib/udev/rules.d
    cp ${../systemd/udev}/*.rules $out/lib/udev/rules.d/
  '';

  units = pkgs.runCommand "nixmaker-units" { } ''
    mkdir -p $out/etc/systemd/system
    for unit in ${../systemd}/nixmaker*; do
      sed "s|/usr/bin/nixmaker|${cfg.package}/bin/nixmaker|; s|/usr/bin/umount|${pkgs.util-linux}/bin/umount|; s|/usr/bin/rmdir|${pkgs.coreutils}/bin/rmdir|" \
        $unit >$out/etc/systemd/system/$(basename $unit)
    done
  '';
in
{
  options.services.nixmaker = {
    enable = lib.mkEnableOption "nixmaker, which takes NixOS updates that come on a medium or by scp";

    package = lib.mkOption {
      type = lib.types.package;
      description = "The nixmaker package to run.";
    };

    trustedPublicKeys = lib.mkOption {
      type = lib.types.listOf lib.types.str;
      example = [ "fleet-1:G4On3LlFSVMH4IUKGpTV8XAzBBDZuiyID7K1VJmWgAc=" ];
      description = ''
        Public keys, made with `nixmaker keygen`, whose bundles this machine takes.
        They are trusted by nixmaker's policy and by Nix itself: both check every bundle.
      '';
    };

    policy = lib.mkOption {
      type = lib.types.submodule {
        freeformType = json.type;
        options = {
          schema = lib.mkOption {
            type = lib.types.int;
            default = 1;
            internal = true;
            description = "Version of the policy file's format.";
          };
          host = lib.mkOption {
            type = lib.types.str;
            default = config.networking.hostName;
            defaultText = lib.literalExpression "config.networking.hostName";
            description = "Name under which the flake knows this machine; bundles of other hosts are refused.";
          };
          operation = lib.mkOption {
            type = lib.types.enum [
              "switch"
              "boot"
            ];
            default = "boot";
            description = "Whether a new system runs at once (`switch`) or from the next start on (`boot`).";
          };
        };
      };
      default = { };
      description = "The policy file; see docs/policy.md for all keys.";
    };

    settings = lib.mkOption {
      type = lib.types.submodule { freeformType = json.type; };
      default = { };
      description = "The settings file: paths and the like; every key is optional.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = cfg.trustedPublicKeys != [ ];
        message = "services.nixmaker.trustedPublicKeys is empty, so no bundle could ever be taken. Add the key that `nixmaker keygen` printed.";
      }
    ];

    services.nixmaker.policy.trustedKeys = cfg.trustedPublicKeys;
    nix.settings.trusted-public-keys = cfg.trustedPublicKeys;
    # Without it a power cut leaves paths valid whose contents never reached the disk. nixmaker finds and mends those of
    # its own imports; this keeps them from coming to be, whoever imports.
    nix.settings.fsync-store-paths = lib.mkDefault true;
    # Where no key that Nix trusts has signed a bundle's paths, root vouches for what the manifest pins (docs/format.md §3).
    nix.extraOptions = "!include /var/lib/nixmaker/activation/store-key.conf";

    environment.etc."nixmaker/policy.json".source = json.generate "nixmaker-policy.json" cfg.policy;
    environment.etc."nixmaker/settings.json".source = json.generate "nixmaker-settings.json" cfg.settings;
    environment.systemPackages = [ cfg.package ];

    users.users.nixmaker = {
      isSystemUser = true;
      group = "nixmaker";
      description = "nixmaker's agent";
    };
    users.groups.nixmaker = { };

    # The units of systemd/, one source of truth; only the programs' places are NixOS's own.
    systemd.packages = [ units ];
    # Offers removable media; whether one is mounted is the policy's to say.
    services.udev.packages = [ udevRules ];
    systemd.services =
      lib.genAttrs
        [
          "nixmaker"
          "nixmaker-activate"
          "nixmaker-confirm"
          "nixmaker-reboot"
          "nixmaker-medium@"
          "nixmaker-receipts"
          "nixmaker-store-key"
        ]
        (name: {
          inherit path;
          # A switch that we started must not restart or stop us midway through itself.
          restartIfChanged = false;
          stopIfChanged = false;
          unitConfig.X-StopOnRemoval = false;
          wantedBy = lib.optional (
            !(builtins.elem name [
              "nixmaker-reboot"
              "nixmaker-medium@"
              "nixmaker-receipts"
              "nixmaker-store-key"
            ])
          ) "multi-user.target"
          ++ lib.optional (name == "nixmaker-store-key") "nix-daemon.service";
          # Boot loaders that count tries (boot.loader.systemd-boot.bootCounting) go on counting until it has said yes.
          requiredBy = lib.optional (name == "nixmaker-confirm") "boot-complete.target";
        });
    systemd.paths.nixmaker-activate.wantedBy = [ "multi-user.target" ];
    systemd.paths.nixmaker-receipts.wantedBy = [ "multi-user.target" ];
  };
}
