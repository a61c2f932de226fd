# Bundles as outputs of a flake: one derivation a host, unsigned, for a secret key must not come into the store. Sign a copy:
# `install -m 644 result/web/web.tar . && nixmaker sign --key fleet-1.secret web.tar`.
{
  # nixosConfigurations of the flake.
  nixosConfigurations,
  # nixpkgs of the machine that builds, with nixmaker in it.
  pkgs,
  # Hosts; all where left out.
  hosts ? builtins.attrNames nixosConfigurations,
  # Must grow with each release: a date or a revision count, for example `self.lastModified`.
  sequence,
}:
builtins.listToAttrs (
  map (
    host:
    let
      inherit (nixosConfigurations.${host}) config;
      inherit (config.system.build) toplevel;
      cache = pkgs.mkBinaryCache {
        name = "nixmaker-${host}-cache";
        rootPaths = [ toplevel ];
        compression = "zstd";
      };
    in
    {
      name = host;
      value = pkgs.runCommand "nixmaker-bundle-${host}" { nativeBuildInputs = [ pkgs.nixmaker ]; } ''
        nixmaker pack ${cache} --directory $out --host ${host} --system ${toplevel.system} \
          --toplevel ${toplevel} --derivation ${builtins.unsafeDiscardStringContext toplevel.drvPath} --sequence ${toString sequence}
      '';
    }
  ) hosts
)
