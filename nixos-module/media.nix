# Removable media: offered by udev; the policy decides whether one is mounted.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.nixmaker;
  ours = "/run/media/nixmaker";
  isOurs = path: path == ours || lib.hasPrefix "${ours}/" path;
  isAbove = path: path == "/" || lib.hasPrefix "${path}/" ours;
  isPlain =
    path: builtins.match "(/|(/[^/]+)+)" path != null && builtins.match ".*/\\.\\.?(/.*)?" path == null;
  udevRules = pkgs.runCommand "nixmaker-udev-rules" { } ''
    mkdir -p $out/lib/udev/rules.d
    sed "s|/usr/bin/systemctl|${config.systemd.package}/bin/systemctl|" \
      ${../systemd/udev}/90-nixmaker-media.rules >$out/lib/udev/rules.d/90-nixmaker-media.rules
  '';
in
{
  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = !(cfg.media.enable && cfg.media.openUdisks);
        message = "services.nixmaker.media.enable and services.nixmaker.media.openUdisks are both set, but media are mounted either by nixmaker or by a desktop. Unset one.";
      }
      {
        assertion = cfg.media.openUdisks -> config.services.udisks2.enable;
        message = "services.nixmaker.media.openUdisks is set, but services.udisks2.enable is not. Set it, or use services.nixmaker.media.enable if no desktop mounts media.";
      }
    ]
    ++ map (root: {
      assertion = !(isOurs root);
      message = "services.nixmaker.media.roots names ${root}, where nixmaker mounts media itself. Set services.nixmaker.media.enable instead.";
    }) cfg.media.roots
    ++ map (root: {
      assertion = !(isAbove root);
      message = "services.nixmaker.media.roots names ${root}, above ${ours}, where nixmaker mounts media itself. Name the folder that something else mounts media in; for a desktop, set services.nixmaker.media.openUdisks.";
    }) cfg.media.roots
    ++ map (path: {
      assertion = isPlain path;
      message = "services.nixmaker.media.roots or services.nixmaker.media.folders names “${path}”, which is not how mount points are written. Use an absolute path without “.”, “..”, double slashes or a trailing slash.";
    }) (cfg.media.roots ++ cfg.media.folders);
    services.udev.packages = [ udevRules ];
    # Below /media, which the agent can look into, not below /run/media, which is only for whoever sits at the machine.
    services.udisks2.mountOnMedia = lib.mkIf cfg.media.openUdisks true;
  };
}
