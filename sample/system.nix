# A synthetic NixOS system: the files nixmaker and a boot loader look at, and a switch-to-configuration that
# follows the order, files and verbs of the real one (nixpkgs pkgs/by-name/sw/switch-to-configuration-ng).
{
  hostName,
  motd,
  system ? "x86_64-linux",
  version ? "26.05.sample",
  # What a running system can't be switched across (system.switch.inhibitors): a JSON map.
  inhibitors ? "{}",
  # Other systems to choose from, by name.
  specialisation ? { },
}:
let
  # Builders use this machine's own shell and coreutils: the flake has no inputs to take them from.
  path = "/usr/bin:/bin:/run/current-system/sw/bin";

  mkDerivation =
    attrs:
    derivation (
      {
        inherit system;
        builder = "/bin/sh";
        PATH = path;
        preferLocalBuild = true;
        allowSubstitutes = false;
      }
      // attrs
    );

  # What all machines of this flake share.
  base = mkDerivation {
    name = "sample-base-${version}";
    args = [
      "-euc"
      ''
        mkdir -p $out/lib $out/share
        echo "linux ${version}" >$out/lib/kernel
        echo "initrd ${version}" >$out/lib/initrd
        mkdir -p $out/lib/modules/${version}
        i=0; while [ $i -lt 2000 ]; do echo "line $i of the shared documentation"; i=$((i+1)); done >$out/share/manual
      ''
    ];
  };

  etc = mkDerivation {
    name = "etc-${hostName}";
    inherit motd hostName;
    passAsFile = [ "motd" ];
    args = [
      "-euc"
      ''
        mkdir -p $out/etc
        cp $motdPath $out/etc/motd
        echo $hostName >$out/etc/hostname
      ''
    ];
  };

  toplevel = mkDerivation {
    name = "nixos-system-${hostName}-${version}";
    inherit base etc;
    switchToConfiguration = ./switch-to-configuration.sh;
    inherit inhibitors;
    variants = builtins.concatStringsSep " " (
      map (name: "${name} ${specialisation.${name}.config.system.build.toplevel}") (builtins.attrNames specialisation)
    );
    args = [
      "-euc"
      ''
        mkdir -p $out/bin
        ln -s $base/lib/kernel $out/kernel
        ln -s $base/lib/initrd $out/initrd
        ln -s $base/lib/modules $out/kernel-modules
        ln -s $etc/etc $out/etc
        echo 'loglevel=4' >$out/kernel-params
        printf '%s' '${version}' >$out/nixos-version
        printf '%s' '${system}' >$out/system
        printf '%s' "$inhibitors" >$out/switch-inhibitors
        set -- $variants
        while [ $# -gt 0 ]; do mkdir -p $out/specialisation; ln -s $2 $out/specialisation/$1; shift 2; done
        # What stage 2 of NixOS does: tells what was booted, activates it, and starts systemd.
        printf '#!/bin/sh\nmountpoint -q /run || mount -t tmpfs -o mode=755,nosuid,nodev run /run\nln -sfn %s /run/booted-system\nln -sfn %s /run/current-system\nexec /usr/lib/systemd/systemd "$@"\n' $out $out >$out/init
        sed "s|@toplevel@|$out|g" $switchToConfiguration >$out/bin/switch-to-configuration
        chmod +x $out/init $out/bin/switch-to-configuration
      ''
    ];
  };
in
{
  config.system.build.toplevel = toplevel;
  config.networking.hostName = hostName;
}
