# One bit of a bundle has turned: refused with its code, nothing of it in the store, and the next good one is taken.
{ nodesWith, scriptWith, ... }:
{
  nodes = nodesWith { next.environment.etc."release".text = "two"; };
  testScript = scriptWith ''
    bundle(10)
    target.succeed(
        "cp /tmp/shared/target.tar /tmp/tampered.tar",
        "printf X | dd of=/tmp/tampered.tar bs=1 seek=$(( $(stat --format=%s /tmp/tampered.tar) - 5000 )) conv=notrunc",
        f"mv /tmp/tampered.tar {INBOX}/tampered.tar",
    )
    assert "bundle-altered" in report("refused", "tampered.tar")
    target.fail(f"nix-store --check-validity {NEXT}")
    assert release() == "one"
    drop()
    assert "DONE" in report("done")
    assert release() == "two"
  '';
}
