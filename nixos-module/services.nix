# The units of systemd/, the one source of truth: only the paths of programs are NixOS's own.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.nixmaker;

  path = import ./programs.nix { inherit config pkgs; };

  units = pkgs.runCommand "nixmaker-units" { } ''
    mkdir -p $out/etc/systemd/system
    for unit in ${../systemd}/nixmaker*; do
      sed "s|/usr/bin/nixmaker|${cfg.package}/bin/nixmaker|; s|/usr/bin/umount|${pkgs.util-linux}/bin/umount|; s|/usr/bin/flock|${pkgs.util-linux}/bin/flock|; s|/usr/sbin/blockdev|${pkgs.util-linux}/bin/blockdev|; s|/usr/bin/rmdir|${pkgs.coreutils}/bin/rmdir|; s|/usr/share/doc|${cfg.package}/share/doc|" \
        $unit >$out/etc/systemd/system/$(basename $unit)
    done
    mkdir -p $out/etc/systemd/user
    for unit in ${../systemd/user}/nixmaker*; do
      sed "s|/usr/bin/nixmaker|${cfg.package}/bin/nixmaker|; s|/usr/share/doc|${cfg.package}/share/doc|" \
        $unit >$out/etc/systemd/user/$(basename $unit)
    done
  '';

  wantedBy = {
    nixmaker = [ "multi-user.target" ];
    nixmaker-activate = [ "multi-user.target" ];
    nixmaker-confirm = [ "multi-user.target" ];
    nixmaker-deadline = [ ];
    nixmaker-keep = [ ];
    "nixmaker-approve@" = [ ];
    "nixmaker-refuse@" = [ ];
    nixmaker-store-key = lib.optional cfg.storeKey "nix-daemon.service";
    nixmaker-reboot = [ ];
    nixmaker-check = [ ];
    nixmaker-repair = [ ];
    nixmaker-receipts = [ ];
    nixmaker-fetch = [ ];
    nixmaker-serve = lib.optional cfg.serve.enable "multi-user.target";
    "nixmaker-medium@" = [ ];
  };
in
{
  config = lib.mkIf cfg.enable {
    environment.systemPackages = [ cfg.package ];

    users.users.nixmaker = {
      isSystemUser = true;
      group = "nixmaker";
      description = "nixmaker agent";
    };
    users.groups.nixmaker = { };

    systemd.packages = [ units ];
    systemd.services = lib.mapAttrs (name: wantedBy: {
      inherit path wantedBy;
      # A switch that we started must not restart or stop us in the middle of it.
      restartIfChanged = false;
      stopIfChanged = false;
      unitConfig.X-StopOnRemoval = false;
      # Boot loaders that count tries keep counting until it succeeds.
      requiredBy = lib.optional (name == "nixmaker-confirm") "boot-complete.target";
    }) wantedBy;
    systemd.paths.nixmaker-activate.wantedBy = [ "multi-user.target" ];
    systemd.paths.nixmaker-receipts.wantedBy = [ "multi-user.target" ];
    systemd.paths.nixmaker-repair.wantedBy = [ "multi-user.target" ];
    systemd.timers.nixmaker-check.wantedBy = [ "timers.target" ];
  };
}
