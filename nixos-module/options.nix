# What can be set. Defaults are those of the policy file (docs/policy.md), which a test compares.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  json = pkgs.formats.json { };
  # RFC 42: what is documented here is typed, everything else of the file can be set as well.
  freeform = options: types.submodule { inherit options; freeformType = json.type; };
  seconds =
    default: description:
    mkOption {
      type = types.ints.unsigned;
      inherit default;
      description = "${description} Seconds.";
    };
  list =
    type: example: description:
    mkOption {
      type = types.listOf type;
      default = [ ];
      inherit example description;
    };
  command = types.nonEmptyListOf types.str;
  days = [
    "mon"
    "tue"
    "wed"
    "thu"
    "fri"
    "sat"
    "sun"
  ];
  window = freeform {
    days = mkOption {
      type = types.listOf (types.enum days);
      default = days;
      description = "Days on which the window opens; it may close on the next.";
    };
    from = mkOption {
      type = types.strMatching "([01][0-9]|2[0-3]):[0-5][0-9]";
      example = "22:00";
      description = "When it opens.";
    };
    to = mkOption {
      type = types.strMatching "([01][0-9]|2[0-3]):[0-5][0-9]";
      example = "05:00";
      description = "The first minute that is outside; not later than `from` means on the day after.";
    };
    timeZone = mkOption {
      type = types.str;
      default = if config.time.timeZone == null then "UTC" else config.time.timeZone;
      defaultText = lib.literalExpression "config.time.timeZone, or UTC";
      description = "IANA name of the time zone.";
    };
  };
  windowOption =
    description:
    mkOption {
      type = types.nullOr window;
      default = null;
      example = {
        from = "22:00";
        to = "05:00";
      };
      inherit description;
    };
in
{
  options.services.nixmaker = {
    enable = lib.mkEnableOption "nixmaker, which takes NixOS updates that come on a medium or by scp";

    package = lib.mkPackageOption pkgs "nixmaker" { };

    trustedPublicKeys = mkOption {
      type = types.listOf (
        types.either types.str (freeform {
          key = mkOption {
            type = types.str;
            description = "The key, as above.";
          };
          roles = list types.str [ "build" ] "What the key is good for; see `services.nixmaker.policy.roles`.";
        })
      );
      default = [ ];
      example = [
        "fleet-1:G4On3LlFSVMH4IUKGpTV8XAzBBDZuiyID7K1VJmWgAc="
        {
          key = "anna:ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0v anna";
          roles = [ "approve" ];
        }
      ];
      description = ''
        Public keys whose bundles this machine takes: those that `nixmaker keygen` printed, or persons' SSH keys as
        `name:` and the line of the `.pub` file. They become the policy's `trustedKeys`; Nix's own kind is trusted by Nix as well.
        A set has a `key`, its `roles` (what it is good for; see `services.nixmaker.policy.roles`), and what else
        docs/policy.md says of a trusted key.
      '';
    };

    policy = mkOption {
      type = freeform {
        schema = mkOption {
          type = types.ints.positive;
          default = 1;
          internal = true;
          description = "Version of the policy file's format.";
        };
        host = mkOption {
          type = types.str;
          default = config.networking.hostName;
          defaultText = lib.literalExpression "config.networking.hostName";
          description = "Name under which the flake knows this machine; bundles of other hosts are refused.";
        };
        operation = mkOption {
          type = types.enum [
            "switch"
            "boot"
          ];
          default = "boot";
          description = "Whether a new system runs at once (`switch`) or from the next start on (`boot`).";
        };
        threshold = mkOption {
          type = types.ints.positive;
          default = 1;
          description = "How many different trusted keys must have signed.";
        };
        roles = mkOption {
          type = types.attrsOf types.ints.positive;
          default = { };
          example = {
            build = 1;
            approve = 1;
          };
          description = "How many of those keys must have each of these roles.";
        };
        realise = mkOption {
          type = types.enum [
            "never-build"
            "substitute"
            "build"
          ];
          default = "never-build";
          description = "How far the machine may go to get what a `derivation` bundle does not carry.";
        };
        firstStart = mkOption {
          type = types.enum [
            "no-record"
            "one-generation"
          ];
          default = "no-record";
          description = ''
            By what a machine that remembers no bundle is known for new: it has no record of one beside its system profile (`no-record`),
            or in addition no more than the generation that an installer makes (`one-generation`). Where it is not known for new, bundles
            wait (`floor-lost`) until somebody has run `nixmaker floor adopt`.
          '';
        };
        window = windowOption "Hours in which the agent may install; without it, at any time.";
        collect = mkOption {
          type = types.enum [
            "never"
            "when-needed"
            "after-commit"
          ];
          default = "never";
          example = "when-needed";
          description = ''
            When root deletes old generations and has Nix collect garbage: where an update finds no room in the store or in the boot
            partition, as much as it needs (`when-needed`), or after each commit as well, all of it (`after-commit`).
          '';
        };
        retention = mkOption {
          type = freeform {
            generations = mkOption {
              type = types.ints.positive;
              default = 2;
              example = 5;
              description = ''
                How many of the newest generations are never deleted by `collect`, at least 2. The one that is being installed counts
                among them.
              '';
            };
            generationDays = mkOption {
              type = types.ints.unsigned;
              default = 0;
              example = 30;
              description = "Generations that are younger are not deleted either. Days.";
            };
          };
          default = { };
          description = "What stays when room is made; what else stays is in docs/policy.md.";
        };
      };
      default = { };
      description = ''
        The policy file; docs/policy.md has all its keys, and those not listed here can be set as well. It is checked with
        `nixmaker check-policy` when the system is built.
      '';
    };

    settings = mkOption {
      type = freeform {
        identityFile = mkOption {
          type = types.nullOr types.str;
          default = null;
          example = "/run/secrets/nixmaker-age-key";
          description = "An age key that decrypts bundles, readable by the user `nixmaker`; without it, one that `nixmaker age-key` makes.";
        };
      };
      default = { };
      description = "The settings file: where things are; every key is optional (docs/operations.md).";
    };

    storeKey = mkOption {
      type = types.bool;
      default = true;
      description = ''
        Whether root may vouch to this machine's Nix for paths that a trusted manifest pins and that no key of
        `nix.settings.trusted-public-keys` has signed: after a keyring brought a new key, or where only persons' SSH keys sign.
      '';
    };

    bootCounting = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Whether systemd-boot counts the starts of a new system and goes back by itself when it does not come up. NixOS can do
        so from 26.11 on. It is NixOS's setting, for all of the machine's systems: whoever installs one by hand gets counted
        tries as well, and a machine that is switched off three times too early starts an older one. So it is not set unasked.
      '';
    };

    inbox = {
      group = mkOption {
        type = types.str;
        default = "nixmaker-drop";
        description = "Members of this group may put bundles into the inbox. It is made unless it is another service's.";
      };
      users = list types.str [ "alice" ] "Users who become members of that group.";
      authorizedKeys = list types.str [ "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0v courier" ] ''
        SSH keys of those who may copy into the inbox and do nothing else: `scp web.tar nixmaker-drop@HOST:inbox/`. They log
        in as the user `nixmaker-drop`, who gets no shell and sees nothing but the inbox.
      '';
    };

    media = {
      enable = mkOption {
        type = types.bool;
        default = false;
        description = "Whether nixmaker mounts removable media itself, read-only and harmless. For machines on which nobody else does.";
      };
      labels = list types.str [ "NIXMAKER" ] "Only media with one of these labels; any, where the list is empty.";
      fileSystems = mkOption {
        type = types.nonEmptyListOf (
          types.enum [
            "vfat"
            "exfat"
            "ext4"
            "iso9660"
          ]
        );
        default = [
          "vfat"
          "exfat"
          "ext4"
          "iso9660"
        ];
        description = "File systems it mounts.";
      };
      roots = list types.str [ "/mnt" ] "Folders at or below which others mount media that are to be looked at.";
      folders = list types.str [ "/srv/sync" ] "Folders that a carrier fills (rsync, Syncthing, a network mount).";
      openUdisks = mkOption {
        type = types.bool;
        default = false;
        description = ''
          Whether media that a desktop mounts through udisks are looked at. udisks then mounts them below /media, where
          everybody on this machine can read them, and not below /run/media for the one who sits at it.
        '';
      };
    };

    health = mkOption {
      type = types.nullOr (freeform {
        units = list types.str [ "nginx.service" ] "systemd units that must be active.";
        commands = list command [ [ "/run/current-system/sw/bin/true" ] ] "Programs, each with its arguments, that must exit with 0; no shell.";
        tcp = list (freeform {
          port = mkOption {
            type = types.port;
            description = "Port that must accept a connection.";
          };
        }) [ { port = 443; } ] "Addresses that must accept a connection.";
        noNewFailedUnits = mkOption {
          type = types.bool;
          default = true;
          description = "No unit may have failed that had not failed before.";
        };
        settle = seconds 5 "Wait before the first look.";
        timeout = seconds 30 "Time for one check.";
        retries = mkOption {
          type = types.ints.unsigned;
          default = 3;
          description = "Further looks after a failed one.";
        };
        interval = seconds 5 "Pause between them.";
      });
      default = null;
      example = {
        units = [ "nginx.service" ];
        tcp = [ { port = 443; } ];
      };
      description = "What must be true after an update, or the previous system comes back.";
    };

    reboot = mkOption {
      type = freeform {
        when = mkOption {
          type = types.enum [
            "never"
            "when-needed"
            "always"
          ];
          default = "never";
          description = "When nixmaker may restart the machine by itself.";
        };
        window = windowOption "Hours in which it may; without it, at any time.";
        delay = seconds 60 "Between the decision and the restart.";
      };
      default = { };
      description = "Restarts.";
    };

    receipts = mkOption {
      type = freeform {
        send = mkOption {
          type = types.bool;
          default = true;
          description = "Whether receipts are written to the media that bring bundles.";
        };
        notify = mkOption {
          type = types.nullOr command;
          default = null;
          example = [ "/run/current-system/sw/bin/beep" ];
          description = "A program that is run when a medium is done with, with its arguments; no shell.";
        };
      };
      default = { };
      description = "What goes back to the desk.";
    };
  };
}
