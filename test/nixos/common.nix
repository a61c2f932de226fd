# What the tests have in common: a desk that makes bundles, a target that takes them, and `next`, which is never started:
# the system that the target is to become.
{ pkgs, module }:
let
  # The first key pair of RFC 8032 §7.1, which everybody knows.
  publicKey = "test-1:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
  secretKey = "test-1:nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWvAhpo9wdRGg==";

  target = {
    imports = [ module ];
    services.nixmaker = {
      enable = true;
      trustedPublicKeys = [ publicKey ];
      # Of one flake's host: `next` is the same machine, though the driver, which takes names from hostName, must tell them apart.
      policy.host = "target";
      policy.operation = "switch";
    };
    environment.etc."release".text = "one";
    # The driver's machines boot their kernel directly and have no boot loader.
    boot.loader.grub.enable = false;
    system.switch.enable = true;
    virtualisation.writableStore = true;
    virtualisation.memorySize = 2048;
    # Room for a second system, which the driver's default has not.
    virtualisation.diskSize = 8192;
  };
  # Else a switch would take the machine's address away, and its name would lead nowhere.
  sameAddress =
    { nodes, lib, ... }:
    {
      networking.interfaces.eth1.ipv4.addresses = lib.mkForce [
        {
          address = nodes.target.networking.primaryIPAddress;
          prefixLength = 24;
        }
      ];
      networking.primaryIPAddress = lib.mkForce nodes.target.networking.primaryIPAddress;
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
        sameAddress
      ];
    };

  # Python: makes a signed bundle of `next` at the desk, and brings files to the target over the driver's shared folder.
  scriptWith =
    script:
    { nodes, ... }:
    let
      next = nodes.next.system.build.toplevel;
    in
    ''
      NEXT = "${next}"
      # Its name alone: no machine has what it was built from, and Nix knows no deriver of what came with the machine.
      DERIVATION = "${builtins.unsafeDiscardStringContext next.drvPath}"
      INBOX = "/var/lib/nixmaker/inbox"

      def bundle(sequence: int, name: str = "target.tar") -> None:
          desk.succeed(
              f"test -e /tmp/cache || nix copy --to 'file:///tmp/cache?compression=zstd' {NEXT}",
              "rm -rf /tmp/out",
              f"nixmaker pack /tmp/cache --directory /tmp/out --host target --system $(nix eval --raw --impure --expr builtins.currentSystem)"
              f" --toplevel {NEXT} --derivation {DERIVATION} --sequence {sequence - 1}",
              "nixmaker sign --key /etc/test-1.secret /tmp/out/target/target.tar",
              f"mv /tmp/out/target/target.tar /tmp/shared/{name}",
          )

      def drop(name: str = "target.tar") -> None:
          target.succeed(
              f"cp /tmp/shared/{name} {INBOX}/.{name}.part",
              f"mv {INBOX}/.{name}.part {INBOX}/{name}",
          )

      def report(folder: str, name: str = "target.tar") -> str:
          target.wait_for_file(f"{INBOX}/{folder}/{name}.txt", timeout=600)
          return target.succeed(f"cat {INBOX}/{folder}/{name}.txt")

      def release() -> str:
          return target.succeed("cat /run/current-system/etc/release").strip()

      desk.start()
      target.start()
      desk.wait_for_unit("multi-user.target")
      target.wait_for_unit("nixmaker.service")
      assert release() == "one"

      ${script}
    '';
}
