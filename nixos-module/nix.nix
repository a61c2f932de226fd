# What Nix must know: the keys of the bundles, and that the agent may ask it.
{
  config,
  lib,
  ...
}:
let
  cfg = config.services.nixmaker;
  nix = config.nix.package;
  keys = import ./keys.nix { inherit lib; };
  # Only Nix's own kind; people's SSH keys can't sign store paths.
  nixKeys = builtins.filter (key: builtins.match "[^:]+:[A-Za-z0-9+/]+=*" key != null) (
    map keys.textOf cfg.trustedPublicKeys
  );
  # NixOS rejects a setting that its Nix does not know. Nix has had it since 2.25 (release notes); Lix does not have it.
  knowsFsync =
    builtins.elem (nix.pname or "nix") [
      "nix"
      "determinate-nix"
    ]
    && lib.versionAtLeast (nix.version or "0") "2.25";
  allowed = config.nix.settings.allowed-users or [ "*" ];
in
{
  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = config.nix.enable;
        message = "services.nixmaker.enable is set, but nix.enable is not: a machine cannot take bundles without Nix. Set nix.enable.";
      }
      {
        assertion = builtins.any (who: builtins.elem who allowed) [
          "*"
          "nixmaker"
          "@nixmaker"
        ];
        message = "nix.settings.allowed-users excludes nixmaker’s agent, so Nix would reject it. Add \"nixmaker\" to it.";
      }
    ];
    nix.settings = {
      trusted-public-keys = nixKeys;
    }
    // lib.optionalAttrs knowsFsync {
      # Without it a power cut leaves paths valid whose contents never reached the disk. nixmaker finds and repairs those of
      # its own imports; this prevents them, whoever imports.
      fsync-store-paths = lib.mkDefault true;
    };
    # If no key that Nix trusts has signed a bundle's paths, root vouches for what the manifest pins (docs/format.md §3).
    nix.extraOptions = lib.mkIf cfg.storeKey "!include /var/lib/nixmaker/activation/store-key.conf\n";
  };
}
