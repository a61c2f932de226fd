# Servers: a user and a timer of their own, so that the agent needs no network.
{ config, lib, ... }:
let
  cfg = config.services.nixmaker;
  isUsed = cfg.fetch.servers != [ ];
  isIn = prefix: url: lib.hasPrefix prefix url;
in
{
  config = lib.mkIf cfg.enable {
    assertions = map (server: {
      assertion = isIn "https://" server.url || isIn "http://" server.url;
      message = "services.nixmaker.fetch.servers names “${server.url}”, which is not an http or https URL. Name the address of the folder that holds nixmaker/.";
    }) cfg.fetch.servers;
    users.users.nixmaker-fetch = lib.mkIf isUsed {
      isSystemUser = true;
      group = "nixmaker-fetch";
      description = "Copies nixmaker bundles from servers";
    };
    users.groups.nixmaker-fetch = lib.mkIf isUsed { };
    # Before the first look, too: the agent watches it.
    systemd.tmpfiles.settings."10-nixmaker" = lib.mkIf isUsed (
      lib.mapAttrs (_: _: {
        d = {
          mode = "0755";
          user = "nixmaker-fetch";
          group = "nixmaker-fetch";
        };
      }) {
        "/var/lib/nixmaker/fetched" = { };
        "/var/lib/nixmaker/fetched/nixmaker" = { };
      }
    );
    systemd.timers.nixmaker-fetch.wantedBy = lib.optional isUsed "timers.target";
    systemd.services.nixmaker-fetch.environment = config.networking.proxy.envVars;
  };
}
