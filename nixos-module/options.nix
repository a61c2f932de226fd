# The options. Defaults are those of the policy file (docs/policy.md); a test compares them.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  json = pkgs.formats.json { };
  # RFC 42: what is documented here is typed; everything else in the file can be set as well.
  freeform = options: types.submodule { inherit options; freeformType = json.type; };
  seconds =
    default: description:
    mkOption {
      type = types.ints.unsigned;
      inherit default;
      description = "${description} In seconds.";
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
      description = "Days on which the window opens. It may close on the next day.";
    };
    from = mkOption {
      type = types.strMatching "([01][0-9]|2[0-3]):[0-5][0-9]";
      example = "22:00";
      description = "When the window opens.";
    };
    to = mkOption {
      type = types.strMatching "([01][0-9]|2[0-3]):[0-5][0-9]";
      example = "05:00";
      description = "When the window closes. If this is not later than `from`, it closes on the next day.";
    };
    timeZone = mkOption {
      type = types.str;
      default = if config.time.timeZone == null then "UTC" else config.time.timeZone;
      defaultText = lib.literalExpression "config.time.timeZone, or UTC";
      description = "IANA name of the time zone.";
    };
  };
  hook =
    example: description:
    mkOption {
      type = types.nullOr (freeform {
        command = mkOption {
          type = command;
          inherit example;
          description = "The program, with its full path, and its arguments (no shell).";
        };
        timeout = seconds 300 "When it is ended, with everything it has started. At most 3600.";
      });
      default = null;
      inherit description;
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
    enable = lib.mkEnableOption "nixmaker, which takes NixOS updates from removable media or an inbox";

    package = lib.mkPackageOption pkgs "nixmaker" { };

    trustedPublicKeys = mkOption {
      type = types.listOf (
        types.either types.str (freeform {
          key = mkOption {
            type = types.str;
            description = "The key, as above.";
          };
          roles = list types.str [ "build" ] "The key’s roles; see `services.nixmaker.policy.roles`.";
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
        Public keys whose bundles this machine takes: keys printed by `nixmaker keygen`, or people’s SSH keys,
        written as `name:` followed by the line in the `.pub` file. They become the policy’s `trustedKeys`;
        Nix keys are also added to Nix’s own trusted keys. An attribute set has a `key`, its `roles` (see
        `services.nixmaker.policy.roles`), and any other property of a trusted key in docs/policy.md.
      '';
    };

    policy = mkOption {
      type = freeform {
        schema = mkOption {
          type = types.ints.positive;
          default = 1;
          internal = true;
          description = "Version of the policy file’s format.";
        };
        host = mkOption {
          type = types.str;
          default = config.networking.hostName;
          defaultText = lib.literalExpression "config.networking.hostName";
          description = "This machine’s name in the flake. Bundles for other hosts are refused.";
        };
        operation = mkOption {
          type = types.enum [
            "switch"
            "boot"
          ];
          default = "boot";
          description = "Whether a new system runs at once (`switch`) or from the next start (`boot`).";
        };
        threshold = mkOption {
          type = types.ints.positive;
          default = 1;
          description = "How many different trusted keys must have signed a bundle.";
        };
        roles = mkOption {
          type = types.attrsOf types.ints.positive;
          default = { };
          example = {
            build = 1;
            approve = 1;
          };
          description = "How many of the signing keys must have each of these roles.";
        };
        realise = mkOption {
          type = types.enum [
            "never-build"
            "substitute"
            "build"
          ];
          default = "never-build";
          description = "How the machine may obtain what a `derivation` bundle does not contain.";
        };
        firstStart = mkOption {
          type = types.enum [
            "no-record"
            "one-generation"
          ];
          default = "no-record";
          description = ''
            When a machine with no record of any bundle counts as new: if there is no record beside its system
            profile either (`no-record`), or if it also has only the one generation an installer makes
            (`one-generation`). On a machine that does not count as new, bundles wait (`floor-lost`) until
            someone runs `nixmaker floor adopt`.
          '';
        };
        window = windowOption "Hours in which the agent may install. By default, any time.";
        stage = mkOption {
          type = freeform {
            allow = mkOption {
              type = types.bool;
              default = true;
              description = ''
                Whether a good release that has to wait (for `window`, `approval`, `hooks.before`, or a confirmation) is
                brought into the store at once and installed from there, so that its medium may be removed.
              '';
            };
            days = mkOption {
              type = types.ints.positive;
              default = 90;
              example = 14;
              description = "After how many days such a release is dropped.";
            };
            giveWay = mkOption {
              type = types.bool;
              default = false;
              description = "Whether it is dropped if a newer release finds no room otherwise. Needs `collect`.";
            };
          };
          default = { };
          example.days = 14;
          description = "What happens to a good release whose time has not come.";
        };
        collect = mkOption {
          type = types.enum [
            "never"
            "when-needed"
            "after-commit"
          ];
          default = "never";
          example = "when-needed";
          description = ''
            When root deletes old generations and lets Nix collect garbage: only if an update does not fit in the store or the boot
            partition, and no more than it needs (`when-needed`), or also after every commit (`after-commit`).
          '';
        };
        repair = mkOption {
          type = types.enum [
            "never"
            "report"
            "automatic"
          ];
          default = "never";
          example = "automatic";
          description = ''
            What nixmaker does on its own about damaged store paths: read the contents of this machine’s systems once
            a week and report what is damaged (`report`), or also repair it from trusted bundles at hand
            (`automatic`). `nixmaker doctor --deep` and `nixmaker repair` work in any case.
          '';
        };
        retention = mkOption {
          type = freeform {
            generations = mkOption {
              type = types.ints.positive;
              default = 2;
              example = 5;
              description = ''
                How many of the newest generations `collect` never deletes, counting the one being installed. At least 2.
              '';
            };
            generationDays = mkOption {
              type = types.ints.unsigned;
              default = 0;
              example = 30;
              description = "`collect` keeps generations younger than this, however many there are. Days.";
            };
          };
          default = { };
          description = "What `collect` keeps. docs/policy.md lists what is kept in any case.";
        };
      };
      default = { };
      description = ''
        The policy file. Any key in docs/policy.md can be set, including those not listed here. The result is
        checked with `nixmaker check-policy` when the system is built.
      '';
    };

    settings = mkOption {
      type = freeform {
        identityFile = mkOption {
          type = types.nullOr types.str;
          default = null;
          example = "/run/secrets/nixmaker-age-key";
          description = "An age key that decrypts bundles, readable by the user `nixmaker`. By default, the one that `nixmaker age-key` creates.";
        };
      };
      default = { };
      description = "The settings file, with nixmaker’s paths. Every key is optional (docs/operations.md).";
    };

    storeKey = mkOption {
      type = types.bool;
      default = true;
      description = ''
        Whether root may vouch to this machine’s Nix for paths that a trusted manifest lists but no key in
        `nix.settings.trusted-public-keys` has signed. Needed after a keyring brings a new key, or if only
        people’s SSH keys sign.
      '';
    };

    bootCounting = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Whether systemd-boot counts the start attempts of a new system and falls back if it does not come up.
        Requires NixOS 26.11. This is a NixOS setting for all of the machine’s systems: manually installed
        ones are counted too, and a machine that is switched off too early three times starts an older system.
        It is therefore off by default.
      '';
    };

    diskScript = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "\${config.system.build.diskoScript}";
      description = ''
        A program in the store that makes the file systems of this machine and mounts them at /mnt, as disko’s does. It
        travels in the system, signed with it; `nixmaker install --format` runs it. What it needs stays in the
        machine’s store.
      '';
    };
    disks = list types.str [ "/dev/nvme0n1" ] ''
      The disks that `diskScript` overwrites: exactly these have to be named for `nixmaker install --format`.
    '';

    inbox = {
      group = mkOption {
        type = types.str;
        default = "nixmaker-drop";
        description = "Members of this group may put bundles into the inbox. The group is created unless another service owns it.";
      };
      users = list types.str [ "alice" ] "Users to add to that group.";
      authorizedKeys = list types.str [ "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0v courier" ] ''
        SSH keys that may copy into the inbox and do nothing else: `scp web.tar nixmaker-drop@HOST:inbox/`.
        They log in as the user `nixmaker-drop`, which has no shell and sees only the inbox.
      '';
    };

    media = {
      enable = mkOption {
        type = types.bool;
        default = false;
        description = "Whether nixmaker mounts removable media itself, read-only and without executables or devices. For machines where nothing else mounts them.";
      };
      labels = list types.str [ "NIXMAKER" ] "Only mount media with one of these labels. An empty list means any label.";
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
        description = "File systems to mount.";
      };
      roots = list types.str [ "/mnt" ] "Folders at or below which something else mounts media for nixmaker to use.";
      folders = list types.str [ "/srv/sync" ] "Folders filled by a carrier (rsync, Syncthing, a network mount).";
      openUdisks = mkOption {
        type = types.bool;
        default = false;
        description = ''
          Whether to use media that a desktop mounts through udisks. udisks then mounts them below /media,
          where every user of this machine can read them, instead of below /run/media for the logged-in user.
        '';
      };
    };

    desktop = {
      enable = mkOption {
        type = types.bool;
        default = false;
        description = ''
          Whether desktop sessions show what nixmaker does: an update is installed and needs a restart, it was
          undone and why, the medium may be removed. People at the machine may also restart it, keep a new
          system (`boot.confirm = "manual"` in the policy), and approve installations (`askForApproval`) there.
        '';
      };
      withoutPassword = mkOption {
        type = types.bool;
        default = false;
        description = "Whether whoever sits at the machine may answer without their password, as at a kiosk.";
      };
      askForApproval = mkOption {
        type = types.bool;
        default = false;
        description = ''
          Whether each installation must be approved, on the desktop or with `nixmaker approve`. Sets the
          policy’s `approval`.
        '';
      };
    };

    fetch.servers = list (freeform {
      url = mkOption {
        type = types.str;
        example = "https://updates.example/fleet";
        description = "Where `nixmaker/` is on the server.";
      };
    }) [ { url = "https://updates.example/fleet"; bytesPerSecond = 200000; } ] ''
      Web servers or object stores from which `nixmaker-fetch.timer` copies, once an hour, what this machine lacks of its newest release.
      A server’s other properties are in docs/policy.md, “Servers”. Proxies are NixOS’s own (networking.proxy).
    '';

    serve = {
      enable = mkOption {
        type = types.bool;
        default = false;
        description = "Whether this machine serves a medium to the others of its network, which fetch from it (`services.nixmaker.fetch`).";
      };
      folder = mkOption {
        type = types.str;
        default = "/srv/nixmaker";
        description = "Where the medium is mounted. The user `nixmaker-serve` must be able to read it, and to write to it if receipts are to travel home on it.";
      };
      listen = mkOption {
        type = types.str;
        default = "::";
        example = "10.0.0.1";
        description = "Address to listen at. By default, all of them.";
      };
      port = mkOption {
        type = types.port;
        default = 8471;
        description = "TCP port.";
      };
      receipts = mkOption {
        type = types.bool;
        default = true;
        description = "Whether receipts are taken and put onto the medium.";
      };
      openFirewall = mkOption {
        type = types.bool;
        default = false;
        description = "Whether to open the port in the firewall.";
      };
      mdns = mkOption {
        type = types.bool;
        default = false;
        description = "Whether to announce the service as `_nixmaker._tcp`, and this machine under its name in .local, through Avahi.";
      };
    };

    health = mkOption {
      type = types.nullOr (freeform {
        units = list types.str [ "nginx.service" ] "systemd units that must be active.";
        commands = list command [ [ "/run/current-system/sw/bin/true" ] ] "Programs with their arguments (no shell) that must exit with 0.";
        tcp = list (freeform {
          port = mkOption {
            type = types.port;
            description = "Port that must accept a connection.";
          };
        }) [ { port = 443; } ] "Addresses that must accept a connection.";
        noNewFailedUnits = mkOption {
          type = types.bool;
          default = true;
          description = "Whether newly failed units count as a failure.";
        };
        settle = seconds 5 "Wait before the first attempt.";
        timeout = seconds 30 "Time limit for one check.";
        retries = mkOption {
          type = types.ints.unsigned;
          default = 3;
          description = "Attempts after a failed one.";
        };
        interval = seconds 5 "Pause between attempts.";
      });
      default = null;
      example = {
        units = [ "nginx.service" ];
        tcp = [ { port = 443; } ];
      };
      description = "What must hold after an update; otherwise the previous system is restored.";
    };

    hooks = {
      before = hook [ "/run/current-system/sw/bin/snapshot-data" ] ''
        What root runs just before the system is changed. Exit code 0 goes on; 75 means “not now”, and the bundle waits; 79 that
        there is no way back, for the reason in the last line of its output; after anything else the bundle waits.
      '';
      after = hook [ "/run/current-system/sw/bin/drop-snapshot" ] ''
        What root runs once a new system is committed. If it fails, that is only reported.
      '';
      rollBack = hook [ "/run/current-system/sw/bin/restore-snapshot" ] ''
        What root runs before the previous system is restored. If it fails, the rollback goes on.
      '';
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
          description = "When nixmaker restarts the machine on its own.";
        };
        window = windowOption "Hours in which it may do so. By default, any time.";
        delay = seconds 60 "Delay between the decision and the restart.";
      };
      default = { };
      description = "Automatic restarts.";
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
          description = "A program with its arguments (no shell) to run when nixmaker has finished with a medium.";
        };
      };
      default = { };
      description = "What travels back to the desk.";
    };
  };
}
