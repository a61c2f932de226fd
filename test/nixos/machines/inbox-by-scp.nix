# Somebody who may copy into the inbox and do nothing else brings a bundle by scp.
{
  pkgs,
  nodesWith,
  scriptWith,
  ...
}:
let
  inherit (import (pkgs.path + "/nixos/tests/ssh-keys.nix") pkgs) snakeOilEd25519PrivateKey snakeOilEd25519PublicKey;
in
{
  nodes = nodesWith {
    here = {
      services.openssh.enable = true;
      services.nixmaker.inbox.authorizedKeys = [ snakeOilEd25519PublicKey ];
    };
    next.environment.etc."release".text = "two";
  };
  testScript = scriptWith ''
    bundle(10)
    desk.succeed("install -m 600 ${snakeOilEd25519PrivateKey} /root/key")
    ssh = "-i /root/key -o StrictHostKeyChecking=no"
    target.wait_for_unit("sshd.service")
    desk.succeed(f"scp {ssh} /tmp/shared/target.tar nixmaker-drop@target:inbox/target.tar")
    assert "DONE" in report("done")
    assert release() == "two"
    desk.fail(f"ssh {ssh} nixmaker-drop@target id")
    desk.fail(f"scp {ssh} nixmaker-drop@target:/etc/shadow /tmp/")
  '';
}
