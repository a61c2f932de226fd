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
  # Text of unit files, by name, besides the targets that every system has.
  units ? { },
  # Text of further files in /etc, by name, each a link into the store as NixOS makes them.
  etcFiles ? { },
  # Shell lines that make the file systems of a new machine and mount them, as disko's script does; and the disks it takes.
  diskScript ? null,
  disks ? [ ],
  # Shell lines of the activation script, before /run/current-system is the new one.
  activationScript ? "",
  # Changes where systemd can't become the new one while it runs (system.build.toplevel's init-interface-version).
  initInterface ? "2",
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

  # As systemd ships them. NixOS has all units in /etc/systemd/system, and so a switch starts the targets that are active.
  targets = {
    "multi-user.target" = ''
      [Unit]
      Description=Multi-User System
      Requires=basic.target
      Conflicts=rescue.service rescue.target
      After=basic.target rescue.service rescue.target
      AllowIsolate=yes
    '';
    "boot-complete.target" = ''
      [Unit]
      Description=Boot Completion Check
      Requires=sysinit.target
      After=sysinit.target
    '';
    "sysinit-reactivation.target" = ''
      [Unit]
      Description=Reactivate sysinit units
    '';
  };
  unitFiles = targets // units;

  etc = mkDerivation {
    name = "etc-${hostName}";
    inherit motd hostName;
    diskLines = if diskScript == null then "" else diskScript;
    diskList = builtins.toJSON {
      schema = 1;
      inherit disks;
    };
    passAsFile = [
      "motd"
      "diskLines"
      "diskList"
    ];
    args = [
      "-euc"
      ''
        mkdir -p $out/etc/systemd/system
        ${builtins.concatStringsSep "\n" (
          map (name: "cp ${builtins.toFile "unit-source" unitFiles.${name}} \"$out/etc/systemd/system/${name}\"") (builtins.attrNames unitFiles)
        )}
        ${builtins.concatStringsSep "\n" (
          map (
            name:
            "mkdir -p \"$out/etc/${builtins.dirOf name}\"; ln -s ${builtins.toFile "etc-file" etcFiles.${name}} \"$out/etc/${name}\""
          ) (builtins.attrNames etcFiles)
        )}
        if [ -s $diskLinesPath ]; then
          mkdir -p $out/bin $out/etc/nixmaker
          { echo '#!/bin/sh -eu'; cat $diskLinesPath; } >$out/bin/disk-script
          chmod +x $out/bin/disk-script
          ln -s $out/bin/disk-script $out/etc/nixmaker/disk-script
          cp $diskListPath $out/etc/nixmaker/disks.json
        fi
        cp $motdPath $out/etc/motd
        echo $hostName >$out/etc/hostname
      ''
    ];
  };

  toplevel = mkDerivation {
    name = "nixos-system-${hostName}-${version}";
    inherit base etc;
    switchToConfiguration = ./switch-to-configuration.sh;
    switchUnits = ./switch-units.sh;
    preSwitchChecks = ./pre-switch-checks.sh;
    installBootLoader = ./install-boot-loader.sh;
    activate = ./activate.sh;
    inherit inhibitors activationScript initInterface;
    passAsFile = [ "activationScript" ];
    variants = builtins.concatStringsSep " " (
      map (name: "${name} ${specialisation.${name}.config.system.build.toplevel}") (builtins.attrNames specialisation)
    );
    args = [
      "-euc"
      ''
        mkdir -p $out/bin $out/libexec
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
        printf '%s' "$initInterface" >$out/init-interface-version
        sed "s|@toplevel@|$out|g" $switchToConfiguration >$out/bin/switch-to-configuration
        cp $switchUnits $out/libexec/switch-units
        cp $preSwitchChecks $out/libexec/pre-switch-checks
        cp $installBootLoader $out/libexec/install-boot-loader
        sed -e "s|@toplevel@|$out|g" -e "/^set -eu$/r $activationScriptPath" $activate >$out/activate
        printf '#!/bin/sh\nexit 0\n' >$out/dry-activate
        chmod +x $out/init $out/activate $out/dry-activate $out/bin/* $out/libexec/*
      ''
    ];
  };
in
{
  config.system.build.toplevel = toplevel;
  config.networking.hostName = hostName;
}
