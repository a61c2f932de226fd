# The next system lacks a service that the policy asks for: the previous one comes back.
{ nodesWith, scriptWith, ... }:
{
  nodes = nodesWith {
    here = {
      services.nginx.enable = true;
      services.nixmaker.health = {
        units = [ "nginx.service" ];
        settle = 1;
        retries = 1;
        interval = 1;
      };
    };
    next =
      { lib, ... }:
      {
        environment.etc."release".text = "two";
        services.nginx.enable = lib.mkForce false;
      };
  };
  testScript = scriptWith ''
    target.wait_for_unit("nginx.service")
    bundle(10)
    drop()
    text = report("refused")
    assert "health-failed" in text and "nginx.service" in text
    assert release() == "one"
    target.wait_for_unit("nginx.service")
  '';
}
