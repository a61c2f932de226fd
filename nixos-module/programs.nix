# What nixmaker starts: the path of each of its services.
{ config, pkgs }:
[
  config.nix.package
  pkgs.coreutils
  pkgs.gnutar
  pkgs.gzip
  pkgs.util-linux
  config.systemd.package
]
