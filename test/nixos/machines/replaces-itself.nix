# The switch brings another nixmaker: it goes on, and the new one tells how it ended.
{ nodesWith, scriptWith, ... }:
{
  nodes = nodesWith {
    next =
      { lib, pkgs, ... }:
      {
        environment.etc."release".text = "two";
        services.nixmaker.package = lib.mkForce (
          (pkgs.callPackage ../../../nix/package.nix { }).overrideAttrs { pname = "nixmaker-next"; }
        );
      };
  };
  testScript = scriptWith ''
    bundle(10)
    drop()
    assert "DONE" in report("done")
    assert release() == "two"
    target.succeed("systemctl restart nixmaker.service")
    target.wait_for_unit("nixmaker.service")
    target.succeed("nixmaker history | grep -w done")
    target.succeed("readlink --canonicalize $(command -v nixmaker) | grep nixmaker-next")
  '';
}
