# Machines whose root file system is in memory: the floor, the journal and the keys must survive a restart, or an older bundle
# is as good as a newer one.
{ config, lib, ... }:
let
  cfg = config.services.nixmaker;
  state = "/var/lib/nixmaker";
  root = config.fileSystems."/" or { };
  isInMemory = builtins.elem (root.fsType or "") [
    "tmpfs"
    "ramfs"
  ];
  above = [
    "/var"
    "/var/lib"
    state
  ];
  isMounted = builtins.any (path: config.fileSystems ? ${path}) above;
  # Impermanence and preservation, which agree on this: folders by the place that keeps them, as text or as sets.
  pathOf = entry: if builtins.isAttrs entry then entry.directory or entry.dirPath or "" else entry;
  keptBy = places: lib.concatMap (place: map pathOf (place.directories or [ ])) (builtins.attrValues places);
  kept = keptBy (config.environment.persistence or { }) ++ keptBy (config.preservation.preserveAt or { });
  isKept = builtins.any (path: builtins.elem path above) kept;
in
{
  config = lib.mkIf cfg.enable {
    warnings = lib.optional (isInMemory && !isMounted && !isKept) ''
      services.nixmaker: the root file system is in memory, and ${state} is not persistent. On every restart the
      machine would forget which releases it has taken, what it was doing, and its own keys. Make ${state} persistent
      (environment.persistence, preservation, or a file system mounted there).
    '';
  };
}
