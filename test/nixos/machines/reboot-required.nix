# Another kernel: installed for the next start, the reason named, committed after the machine was started into it.
{ pkgs, nodesWith, scriptWith, ... }:
{
  nodes = nodesWith {
    here.services.nixmaker.policy.operation = "boot";
    next = {
      environment.etc."release".text = "two";
      boot.kernelPackages = pkgs.linuxPackages_latest;
    };
  };
  testScript = scriptWith ''
    bundle(10)
    drop()
    text = report("done")
    assert "kernel" in text
    assert release() == "one"
    assert NEXT in target.succeed("readlink --canonicalize /nix/var/nix/profiles/system")
    target.succeed("nixmaker status | grep -i restart")
  '';
}
