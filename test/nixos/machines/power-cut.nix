# The power is cut in the middle of an import: the machine starts into the old system and takes the bundle again.
{ nodesWith, scriptWith, ... }:
{
  nodes = nodesWith { next.environment.etc."release".text = "two"; };
  testScript = scriptWith ''
    bundle(10)
    target.succeed("sync")
    drop()
    target.wait_until_succeeds("journalctl --unit nixmaker | grep -q '\"event\":\"accepted\"'", timeout=120)
    target.crash()
    target.start()
    target.wait_for_unit("nixmaker.service")
    assert "DONE" in report("done")
    assert release() == "two"
    target.succeed("nix-store --verify --check-contents")
  '';
}
