# The boot loader: how many tries a new system gets, and that the old one stays in the menu.
{
  config,
  options,
  lib,
  ...
}:
let
  cfg = config.services.nixmaker;
  knowsCounting = options ? boot.loader.systemd-boot.bootCounting;
  # Loaders that keep a limited number of systems in their menu, if NixOS knows them.
  loaders = lib.filterAttrs (_: loader: loader.isUsed) {
    # The builders of these two take the last N of a list, which for 0 is all of it.
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
          # With room for one, the old system leaves the menu before the new one has ever been booted.
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
