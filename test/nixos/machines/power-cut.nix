# The power is cut in the middle of an import: the machine starts into the old system and takes the bundle again.
{ nodesWith, scriptWith, ... }:
{
  nodes = nodesWith {
    here.virtualisation = {
      # A disk of its own that is there after the cut: the driver's store is this machine's by 9p, with what is written in memory.
      useNixStoreImage = true;
      writableStoreUseTmpfs = false;
    };
    next.environment.etc."release".text = "two";
  };
  testScript = scriptWith ''
    bundle(10)
    target.succeed("sync")
    drop()
    target.wait_until_succeeds("journalctl --unit nixmaker | grep -q '\"event\":\"accepted\"'", timeout=120)
    target.crash()
    target.start()
    target.wait_for_unit("multi-user.target")
    assert release() == "one"
    target.wait_for_unit("nixmaker.service")
    assert "DONE" in report("done")
    assert release() == "two"
    target.succeed("nix-store --verify --check-contents")
  '';
}
