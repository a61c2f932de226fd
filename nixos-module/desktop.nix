# On desktops: what nixmaker does is shown in each session, and people may answer its questions there.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.nixmaker;
  rules = builtins.readFile ../systemd/polkit/50-nixmaker.rules;
  result = if cfg.desktop.withoutPassword then "polkit.Result.YES" else "polkit.Result.AUTH_SELF";
in
{
  config = lib.mkIf (cfg.enable && cfg.desktop.enable) {
    systemd.user.services.nixmaker-desktop = {
      path = [
        pkgs.libnotify
        config.systemd.package
        pkgs.util-linux
      ];
      wantedBy = [ "graphical-session.target" ];
    };
    security.polkit.enable = lib.mkDefault true;
    security.polkit.extraConfig = builtins.replaceStrings [ "polkit.Result.AUTH_SELF" ] [ result ] rules;
    services.nixmaker.policy.approval = lib.mkIf cfg.desktop.askForApproval {
      command = [
        "${cfg.package}/bin/nixmaker"
        "ask"
      ];
    };
  };
}
