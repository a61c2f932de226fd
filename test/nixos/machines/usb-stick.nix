# A stick is plugged in at a machine where nobody else mounts media: its bundle becomes the running system, a receipt lies on it.
{ nodesWith, scriptWith, ... }:
{
  nodes = nodesWith {
    here = {
      services.nixmaker.media.enable = true;
      virtualisation.qemu.options = [ "-device qemu-xhci,id=xhci" ];
    };
    next.environment.etc."release".text = "two";
  };
  testScript = scriptWith ''
    bundle(10)
    desk.succeed(
        "truncate --size 2G /tmp/shared/stick.img",
        "mkfs.ext4 -q /tmp/shared/stick.img && mkdir -p /mnt && mount -o loop /tmp/shared/stick.img /mnt",
        "nixmaker put /mnt /tmp/shared/target.tar && umount /mnt",
    )
    image = target.shared_dir / "stick.img"
    target.send_monitor_command(f"drive_add 0 id=stick,if=none,format=raw,file={image}")
    target.send_monitor_command("device_add usb-storage,bus=xhci.0,drive=stick,id=stick,removable=on")
    target.wait_until_succeeds("grep -q two /run/current-system/etc/release", timeout=600)
    target.wait_until_succeeds("journalctl --unit nixmaker-receipts | grep -q medium-may-go", timeout=120)
    target.wait_until_fails("findmnt /run/media/nixmaker/sda", timeout=60)
    target.send_monitor_command("device_del stick")
    desk.succeed("mount -o loop /tmp/shared/stick.img /mnt && test -e /mnt/nixmaker/receipts/target/10.json")
  '';
}
