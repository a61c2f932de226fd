# The options of NixOS that the module reads or sets, with NixOS's own types and defaults (nixos/modules of nixpkgs).
{
  lib,
  package,
  hasBootCounting,
}:
let
  inherit (lib) mkOption types;
  value = default: type: mkOption { inherit default type; };
  flag = value false types.bool;
  packages = value [ ] (types.listOf types.package);
  strings = value [ ] (types.listOf types.str);
  attrs = value { } (types.attrsOf types.raw);
  attrsWith = options: value { } (types.attrsOf (types.submodule { inherit options; }));
  limit = default: value default (types.nullOr types.int);

  user = {
    isSystemUser = flag;
    group = value "" types.str;
    description = value "" types.str;
    home = value "/var/empty" types.str;
    hashedPassword = value null (types.nullOr types.str);
    openssh.authorizedKeys.keys = strings;
  };
  service = {
    enable = value true types.bool;
    description = value "" types.str;
    after = strings;
    conflicts = strings;
    path = value [ ] (types.listOf types.raw);
    wantedBy = strings;
    requiredBy = strings;
    restartIfChanged = value true types.bool;
    stopIfChanged = value true types.bool;
    unitConfig = attrs;
    serviceConfig = attrs;
    environment = attrs;
  };
  rule =
    { name, ... }:
    {
      options = {
        type = value name types.str;
        mode = value "-" types.str;
        user = value "-" types.str;
        group = value "-" types.str;
        age = value "-" types.str;
        argument = value "" types.str;
      };
    };
in
{
  options = {
    assertions = value [ ] (types.listOf types.raw);
    warnings = strings;
    meta.maintainers = value [ ] (types.listOf types.raw);
    networking.hostName = value "web" types.str;
    networking.proxy.envVars = attrs;
    networking.firewall.allowedTCPPorts = value [ ] (types.listOf types.int);
    services.avahi = {
      enable = flag;
      publish.enable = flag;
      publish.addresses = flag;
      extraServiceFiles = value { } (types.attrsOf types.str);
    };
    time.timeZone = value null (types.nullOr types.str);
    nix.enable = value true types.bool;
    nix.package = value (package "nix" "2.34.0") types.package;
    nix.extraOptions = value "" types.lines;
    nix.settings = mkOption {
      default = { };
      type = types.submodule {
        freeformType = types.attrsOf types.raw;
        options.trusted-public-keys = strings;
        options.allowed-users = value [ "*" ] (types.listOf types.str);
      };
    };
    environment.etc = attrs;
    environment.systemPackages = packages;
    fileSystems = attrsWith {
      device = value null (types.nullOr types.str);
      fsType = value "auto" types.str;
    };
    users.users = attrsWith user;
    users.groups = attrsWith { members = strings; };
    services.openssh.enable = flag;
    services.openssh.allowSFTP = value true types.bool;
    services.openssh.extraConfig = value "" types.lines;
    services.openssh.settings.AllowUsers = value null (types.nullOr (types.listOf types.str));
    services.openssh.settings.AllowGroups = value null (types.nullOr (types.listOf types.str));
    services.udisks2.enable = flag;
    services.udisks2.mountOnMedia = flag;
    services.udev.packages = packages;
    virtualisation.xen.enable = flag;
    boot.loader = {
      systemd-boot = {
        enable = flag;
        configurationLimit = limit null;
      }
      // lib.optionalAttrs hasBootCounting { bootCounting.enable = flag; };
      grub.enable = value true types.bool;
      grub.configurationLimit = value 100 types.int;
      generic-extlinux-compatible.enable = flag;
      generic-extlinux-compatible.configurationLimit = value 20 types.int;
      limine.enable = flag;
      limine.maxGenerations = limit null;
    };
    # Of lanzaboote's, impermanence's and preservation's modules, which are none of NixOS's own.
    boot.lanzaboote.enable = flag;
    boot.lanzaboote.configurationLimit = limit null;
    environment.persistence = attrsWith { directories = value [ ] (types.listOf types.raw); };
    preservation.preserveAt = attrsWith { directories = value [ ] (types.listOf types.raw); };
    systemd.package = value (package "systemd" "262") types.package;
    systemd.packages = packages;
    systemd.paths = attrs;
    systemd.timers = attrs;
    systemd.services = attrsWith service;
    systemd.user.services = attrsWith service;
    security.polkit.enable = flag;
    security.polkit.extraConfig = value "" types.lines;
    systemd.tmpfiles.settings = value { } (
      types.attrsOf (types.attrsOf (types.attrsOf (types.submodule rule)))
    );
  };
}
