# What the tests have in common: a desk that makes bundles, a target that takes them, and `next`, which is never started:
# the system that the target is to become.
{ pkgs, module }:
let
  # The first key pair of RFC 8032 §7.1, which everybody knows.
  publicKey = "test-1:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
  secretKey = "test-1:nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWvAhpo9wdRGg==";

  target = {
    imports = [ module ];
    # Of one flake's host: `next` is the same machine.
    networking.hostName = "target";
    services.nixmaker = {
      enable = true;
      trustedPublicKeys = [ publicKey ];
      policy.operation = "switch";
    };
    environment.etc."release".text = "one";
    # The driver's machines boot their kernel directly and have no boot loader.
    boot.loader.grub.enable = false;
    system.switch.enable = true;
    virtualisation.writableStore = true;
    virtualisation.memorySize = 2048;
  };
in
{
  inherit pkgs publicKey;

  # A test's nodes: what the target is besides, and what its next system changes.
  nodesWith =
    {
      here ? { },
      next,
    }:
    {
      desk =
        { nodes, ... }:
        {
          imports = [ module ];
          environment.systemPackages = [ nodes.target.services.nixmaker.package ];
          environment.etc."test-1.secret".text = secretKey;
          nix.settings.experimental-features = [ "nix-command" ];
          virtualisation.additionalPaths = [ nodes.next.system.build.toplevel ];
          virtualisation.writableStore = true;
          virtualisation.memorySize = 2048;
          virtualisation.diskSize = 4096;
        };
      target.imports = [
        target
        here
      ];
      next.imports = [
        target
        here
        next
      ];
    };

  # Python: makes a signed bundle of `next` at the desk, and brings files to the target over the driver's shared folder.
  scriptWith =
    script:
    { nodes }:
    ''
      import os

      NEXT = "${nodes.next.system.build.toplevel}"
      INBOX = "/var/lib/nixmaker/inbox"

      def bundle(sequence, name="target.tar"):
          desk.succeed(
              f"test -e /tmp/cache || nix copy --to 'file:///tmp/cache?compression=zstd' {NEXT}",
              "rm -rf /tmp/out",
              f"nixmaker pack /tmp/cache --directory /tmp/out --host target --system $(nix eval --raw --impure --expr builtins.currentSystem)"
              f" --toplevel {NEXT} --derivation $(nix-store --query --deriver {NEXT}) --sequence {sequence - 1}",
              "nixmaker sign --key /etc/test-1.secret /tmp/out/target/target.tar",
              f"mv /tmp/out/target/target.tar /tmp/shared/{name}",
          )

      def drop(name="target.tar"):
          target.succeed(
              f"cp /tmp/shared/{name} {INBOX}/.{name}.part",
              f"mv {INBOX}/.{name}.part {INBOX}/{name}",
          )

      def report(folder, name="target.tar"):
          target.wait_for_file(f"{INBOX}/{folder}/{name}.txt", timeout=600)
          return target.succeed(f"cat {INBOX}/{folder}/{name}.txt")

      def release():
          return target.succeed("cat /run/current-system/etc/release").strip()

      desk.start()
      target.start()
      desk.wait_for_unit("multi-user.target")
      target.wait_for_unit("nixmaker.service")
      assert release() == "one"

      ${script}
    '';
}
