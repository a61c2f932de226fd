# An older bundle is refused, also after a local rollback.
{ nodesWith, scriptWith, ... }:
{
  nodes = nodesWith { next.environment.etc."release".text = "two"; };
  testScript = scriptWith ''
    bundle(20)
    drop()
    assert "DONE" in report("done")
    bundle(10, "older.tar")
    drop("older.tar")
    assert "sequence-older" in report("refused", "older.tar")
    assert release() == "two"
    target.succeed("nixmaker floor | grep 20")
  '';
}
