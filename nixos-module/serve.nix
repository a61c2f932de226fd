# A gateway: serves a medium to the machines of its network. They fetch from it as from any server.
{ config, lib, ... }:
let
  cfg = config.services.nixmaker;
  inherit (cfg.serve) folder port;
  options = [
    "--port"
    (toString port)
    "--listen"
    cfg.serve.listen
  ]
  ++ lib.optional (!cfg.serve.receipts) "--no-receipts";
in
{
  config = lib.mkIf cfg.enable {
    assertions = [
      {
        # It is a word of the unit’s command line.
        assertion = builtins.match "(/[A-Za-z0-9._-]+)+" folder != null;
        message = "services.nixmaker.serve.folder is “${folder}”. Use an absolute path of letters, digits, “.”, “_” and “-”.";
      }
    ];
    users.users.nixmaker-serve = lib.mkIf cfg.serve.enable {
      isSystemUser = true;
      group = "nixmaker-serve";
      description = "Serves nixmaker bundles";
    };
    users.groups.nixmaker-serve = lib.mkIf cfg.serve.enable { };
    systemd.services.nixmaker-serve = {
      environment = lib.mkIf cfg.serve.enable {
        NIXMAKER_SERVE = folder;
        NIXMAKER_SERVE_OPTIONS = builtins.concatStringsSep " " options;
      };
      serviceConfig = lib.mkIf cfg.serve.enable { ReadWritePaths = [ "-${folder}" ]; };
    };
    networking.firewall.allowedTCPPorts = lib.optional (cfg.serve.enable && cfg.serve.openFirewall) port;
    # Others find it as HOST.local, and as this service (avahi.service(5)).
    services.avahi = lib.mkIf (cfg.serve.enable && cfg.serve.mdns) {
      enable = true;
      publish.enable = true;
      publish.addresses = true;
      extraServiceFiles.nixmaker = ''
        <?xml version="1.0" standalone="no"?>
        <!DOCTYPE service-group SYSTEM "avahi-service.dtd">
        <service-group>
          <name replace-wildcards="yes">nixmaker on %h</name>
          <service><type>_nixmaker._tcp</type><port>${toString port}</port></service>
        </service-group>
      '';
    };
  };
}
