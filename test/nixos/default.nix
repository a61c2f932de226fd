# Machines of their own in nixpkgs' test driver, one file a feature: `nix build .#checks.x86_64-linux.usb-stick`. They need
# nixpkgs and KVM; where this project is developed there are neither, and they are only evaluated.
{ pkgs, module }:
let
  common = import ./common.nix { inherit pkgs module; };
  tests = [
    "usb-stick"
    "inbox-by-scp"
    "tampered"
    "downgrade"
    "failed-health"
    "power-cut"
    "reboot-required"
    "replaces-itself"
  ];
in
builtins.listToAttrs (
  map (name: {
    inherit name;
    value = pkgs.testers.runNixOSTest ({ inherit name; } // import (./machines + "/${name}.nix") common);
  }) tests
)
