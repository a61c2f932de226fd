# A live image that installs the machine it is started on from a stick. None of the agent’s: that is what it installs.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.nixmaker.installer;
  inherit (lib) mkOption types;
  isPlain = builtins.match "(/[A-Za-z0-9._-]+)+";
  # By file: systemd would read `%` and spaces in a key on the command line.
  keyFiles = map (key: builtins.toFile "fleet.public" "${key}\n") cfg.trustedPublicKeys;
  given =
    option: values:
    builtins.concatMap (value: [
      option
      value
    ]) values;
  command = [
    "${cfg.package}/bin/nixmaker"
    "installer"
    "--root"
    cfg.root
  ]
  ++ given "--key" keyFiles
  ++ lib.optionals (cfg.keyring == null) [
    "--threshold"
    (toString cfg.threshold)
  ]
  ++ given "--keyring" (lib.optional (cfg.keyring != null) "${cfg.keyring}")
  ++ given "--host" (lib.optional (cfg.host != null) cfg.host)
  ++ given "--identity" (lib.optional (cfg.identityFile != null) cfg.identityFile)
  ++ given "--label" cfg.labels
  ++ given "--folder" cfg.folders
  ++ lib.optional cfg.format "--format";
  # Whichever of the two is there: tty1, ttyS0.
  logins = [
    "getty@${cfg.terminal}"
    "serial-getty@${cfg.terminal}"
    "autovt@${cfg.terminal}"
  ];
  noLogins = builtins.listToAttrs (
    map (name: {
      inherit name;
      value.enable = false;
    }) logins
  );
in
{
  options.services.nixmaker.installer = {
    enable = lib.mkEnableOption "the installer of nixmaker, for a live image: it installs the machine from a stick once Enter is pressed (the flake’s own module, installer)";

    package = lib.mkPackageOption pkgs "nixmaker" { };

    trustedPublicKeys = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "fleet-1:G4On3LlFSVMH4IUKGpTV8XAzBBDZuiyID7K1VJmWgAc=" ];
      description = "Public keys whose releases, and tables of hosts, count.";
    };

    threshold = mkOption {
      type = types.ints.positive;
      default = 1;
      description = "How many of these keys must have signed.";
    };

    keyring = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = lib.literalExpression "\"\${./fleet.keyring}\"";
      description = "Instead of keys: a keyring, whose keys count, and which the machine keeps.";
    };

    host = mkOption {
      type = types.nullOr (types.strMatching "[A-Za-z0-9-]+");
      default = null;
      example = "web";
      description = "Which host the machine is to be. By default, the signed table on the medium says so.";
    };

    format = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Whether the release’s own disk script makes the file systems, and mounts them at `root`. Otherwise somebody mounts them there by
        hand, on another terminal, before Enter is pressed.
      '';
    };

    root = mkOption {
      type = types.strMatching "(/[A-Za-z0-9._-]+)+";
      default = "/mnt";
      description = "Where the new system’s file systems are mounted.";
    };

    labels = mkOption {
      type = types.listOf (types.strMatching "[A-Za-z0-9._-]+");
      default = [ ];
      example = [ "FLEET" ];
      description = "Labels of the media to look at. By default, any.";
    };

    folders = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "/iso" ];
      description = "Folders to look at besides media: a pool that the live medium itself carries.";
    };

    identityFile = mkOption {
      type = types.nullOr (types.strMatching "(/[A-Za-z0-9._-]+)+");
      default = null;
      example = "/run/secrets/age";
      description = "Secret age keys, for encrypted releases.";
    };

    terminal = mkOption {
      type = types.strMatching "tty[A-Za-z0-9]+";
      default = "tty1";
      example = "ttyS0";
      description = "Terminal on which it shows what it does and waits for Enter. There is no login on it.";
    };

    powerOff = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Whether the machine is switched off once it is installed; after an installation that nobody was asked about, this is how one sees
        that it is done. It is never restarted: with the live medium still in, that would begin from the start.
      '';
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = (cfg.trustedPublicKeys == [ ]) == (cfg.keyring != null);
        message = "services.nixmaker.installer says of nobody, or twice, whose signatures count. Set either trustedPublicKeys or keyring.";
      }
      {
        assertion = cfg.keyring != null || cfg.threshold <= builtins.length cfg.trustedPublicKeys;
        message = "services.nixmaker.installer.threshold is ${toString cfg.threshold}, but trustedPublicKeys has fewer keys.";
      }
    ]
    ++ map (folder: {
      # It is a word of the unit’s command line.
      assertion = isPlain folder != null;
      message = "services.nixmaker.installer.folders or keyring names “${folder}”. Use absolute paths of letters, digits, “.”, “_” and “-”.";
    }) (cfg.folders ++ lib.optional (cfg.keyring != null) cfg.keyring);
    environment.systemPackages = [ cfg.package ];

    systemd.services = noLogins // {
      nixmaker-installer = {
        description = "Install this machine from a medium";
        wantedBy = [ "multi-user.target" ];
        after = map (login: "${login}.service") logins;
        conflicts = map (login: "${login}.service") logins;
        path = import ./programs.nix { inherit config pkgs; };
        restartIfChanged = false;
        unitConfig = lib.optionalAttrs cfg.powerOff { SuccessAction = "poweroff"; };
        serviceConfig = {
          ExecStart = builtins.concatStringsSep " " command;
          # After the messages of the start.
          Type = "idle";
          StandardInput = "tty-force";
          StandardOutput = "tty";
          StandardError = "tty";
          TTYPath = "/dev/${cfg.terminal}";
          TTYReset = true;
          TTYVHangup = true;
          Restart = "on-failure";
          RestartSec = 5;
        };
      };
    };
  };
}
