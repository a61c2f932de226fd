# The boot loader: how many tries a new system has, and that the old one stays in the menu.
{
  config,
  options,
  lib,
  ...
}:
let
  cfg = config.services.nixmaker;
  knowsCounting = options ? boot.loader.systemd-boot.bootCounting;
  # Loaders that keep a number of systems in their menu, where NixOS knows of them.
  loaders = lib.filterAttrs (_: loader: loader.isUsed) {
    # Builders of these two take the last N of a list, which for 0 is all of it.
    "boot.loader.systemd-boot" = limitOf (config.boot.loader.systemd-boot or { }) // {
      zeroIsAll = true;
    };
    "boot.loader.grub" = limitOf (config.boot.loader.grub or { });
    "boot.loader.generic-extlinux-compatible" = limitOf (config.boot.loader.generic-extlinux-compatible or { });
    "boot.loader.limine" = {
      isUsed = config.boot.loader.limine.enable or false;
      limit = config.boot.loader.limine.maxGenerations or null;
      zeroIsAll = true;
    };
    "boot.lanzaboote" = limitOf (config.boot.lanzaboote or { });
  };
  limitOf = loader: {
    isUsed = loader.enable or false;
    limit = loader.configurationLimit or null;
    zeroIsAll = false;
  };
in
{
  config = lib.mkIf cfg.enable (
    {
      assertions =
        lib.mapAttrsToList (name: loader: {
          # With room for one, the old system has left the menu before the new one has started once.
          assertion = loader.limit == null || loader.limit >= 2 || (loader.limit == 0 && loader.zeroIsAll);
          message = "${name} keeps ${toString loader.limit} of the systems in its boot menu, which leaves nothing to roll back to. Let it keep 2 or more, or all of them.";
        }) loaders
        ++ [
          {
            assertion = cfg.bootCounting -> knowsCounting;
            message = "services.nixmaker.bootCounting is set, but this NixOS has no boot.loader.systemd-boot.bootCounting (new in 26.11). Unset it.";
          }
          {
            assertion = cfg.bootCounting -> config.boot.loader.systemd-boot.enable or false;
            message = "services.nixmaker.bootCounting is set, but the machine does not use systemd-boot, the only boot loader that can count. Unset it, or use systemd-boot.";
          }
          {
            assertion = !(cfg.bootCounting && (config.virtualisation.xen.enable or false));
            message = "services.nixmaker.bootCounting is set, but Xen’s boot entries (virtualisation.xen.enable) cannot be counted. Unset it.";
          }
        ];
    }
    // lib.optionalAttrs knowsCounting {
      boot.loader.systemd-boot.bootCounting.enable = lib.mkIf cfg.bootCounting true;
    }
  );
}
