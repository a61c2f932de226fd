# Who may drop bundles, and how: a group, and a user who can copy and nothing else.
{ config, lib, ... }:
let
  cfg = config.services.nixmaker;
  inbox = "/var/lib/nixmaker/inbox";
  dropUser = "nixmaker-drop";
  hasDropUser = cfg.inbox.authorizedKeys != [ ];
in
{
  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = !hasDropUser || config.services.openssh.enable;
        message = "services.nixmaker.inbox.authorizedKeys has keys, but nobody can log in: set services.openssh.enable, or take the keys out.";
      }
      {
        assertion = cfg.inbox.group != "users" && cfg.inbox.group != "nogroup";
        message = "services.nixmaker.inbox.group is “${cfg.inbox.group}”, which everybody is in. Name a group of those who may bring updates.";
      }
    ];

    users.groups.${cfg.inbox.group}.members = cfg.inbox.users;
    # Sticky: nobody takes away what somebody else has dropped. The default ACL lets the agent read what a strict umask
    # would hide.
    systemd.tmpfiles.rules = [
      "d ${inbox} 3770 nixmaker ${cfg.inbox.group} - -"
      "a+ ${inbox} - - - - default:user:nixmaker:rwX"
    ];
    # The folder is tmpfiles' here: systemd would give it, and all in it, back to the agent's own group at each start.
    systemd.services.nixmaker.serviceConfig = {
      StateDirectory = [
        ""
        "nixmaker/state"
      ];
      ReadWritePaths = [ inbox ];
    };

    users.users.${dropUser} = lib.mkIf hasDropUser {
      isSystemUser = true;
      group = cfg.inbox.group;
      description = "whoever brings nixmaker bundles by scp";
      home = "/var/empty";
      # sshd starts internal-sftp in its own process, and so needs no shell.
      openssh.authorizedKeys.keys = map (key: "restrict ${key}") cfg.inbox.authorizedKeys;
    };
    # The chroot must be root's, as /var/lib/nixmaker is; scp speaks SFTP since OpenSSH 9.0.
    services.openssh.extraConfig = lib.mkIf hasDropUser ''
      Match User ${dropUser}
        ForceCommand internal-sftp -u 0007
        ChrootDirectory /var/lib/nixmaker
        DisableForwarding yes
        PermitTTY no
        PasswordAuthentication no
      Match All
    '';
  };
}
