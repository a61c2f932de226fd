# Removable media: offered by udev; whether one is mounted is the policy's to say.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.nixmaker;
  udevRules = pkgs.runCommand "nixmaker-udev-rules" { } ''
    mkdir -p $out/lib/udev/rules.d
    cp ${../systemd/udev}/90-nixmaker-media.rules $out/lib/udev/rules.d/
    ${lib.optionalString cfg.media.openUdisks "cp ${./udev}/61-nixmaker-udisks.rules $out/lib/udev/rules.d/"}
  '';
in
{
  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = !(cfg.media.enable && cfg.media.openUdisks);
        message = "services.nixmaker.media.enable and services.nixmaker.media.openUdisks are both set: either nixmaker mounts media or a desktop does. Unset one.";
      }
      {
        assertion = cfg.media.openUdisks -> config.services.udisks2.enable;
        message = "services.nixmaker.media.openUdisks is set, but services.udisks2.enable is not. Set it, or use services.nixmaker.media.enable where no desktop mounts media.";
      }
      {
        assertion = !(builtins.elem "/run/media/nixmaker" cfg.media.roots);
        message = "services.nixmaker.media.roots names /run/media/nixmaker, where nixmaker itself mounts media. Set services.nixmaker.media.enable instead.";
      }
    ];
    services.udev.packages = [ udevRules ];
  };
}
