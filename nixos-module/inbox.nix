# Who may drop bundles, and how: a group, and a user who can copy and nothing else.
{ config, lib, ... }:
let
  cfg = config.services.nixmaker;
  keys = import ./keys.nix { inherit lib; };
  inbox = "/var/lib/nixmaker/inbox";
  dropUser = "nixmaker-drop";
  authorizedKeys = map keys.trim cfg.inbox.authorizedKeys;
  hasDropUser = authorizedKeys != [ ];
  mayLogIn =
    list: name:
    let
      allowed = config.services.openssh.settings.${list} or null;
    in
    allowed == null || builtins.elem name allowed;
  # Groups whose members somebody else decides, or that include everybody.
  unfit = {
    users = "which includes everyone";
    nogroup = "which includes everyone";
    root = "which belongs to root";
    wheel = "whose members may become root, which couriers do not need";
    nixmaker = "which belongs to the agent: its members could change the agent’s state";
  };
in
{
  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = !hasDropUser || config.services.openssh.enable;
        message = "services.nixmaker.inbox.authorizedKeys has keys, but nobody can log in: set services.openssh.enable, or remove the keys.";
      }
      {
        # sshd starts only the subsystems it is configured with, forced command or not (sshd_config(5), Subsystem).
        assertion = !hasDropUser || config.services.openssh.allowSFTP;
        message = "services.nixmaker.inbox.authorizedKeys has keys, but services.openssh.allowSFTP is not set, and scp uses SFTP. Set it, or remove the keys.";
      }
      {
        # sshd_config(5): if there is a list, users not on it can't log in, whatever key they present.
        assertion = !hasDropUser || mayLogIn "AllowUsers" dropUser;
        message = "services.nixmaker.inbox.authorizedKeys has keys, but services.openssh.settings.AllowUsers excludes ${dropUser}, so nobody could bring a bundle. Add \"${dropUser}\" to it.";
      }
      {
        assertion = !hasDropUser || mayLogIn "AllowGroups" cfg.inbox.group;
        message = "services.nixmaker.inbox.authorizedKeys has keys, but services.openssh.settings.AllowGroups excludes ${cfg.inbox.group}, so nobody could bring a bundle. Add \"${cfg.inbox.group}\" to it.";
      }
      {
        assertion = !(unfit ? ${cfg.inbox.group});
        message = "services.nixmaker.inbox.group is “${cfg.inbox.group}”, ${unfit.${cfg.inbox.group} or ""}. Name a group for the people who may bring updates.";
      }
      {
        assertion = builtins.stringLength cfg.inbox.group <= 31;
        message = "services.nixmaker.inbox.group is “${cfg.inbox.group}”, longer than the 31 characters a group name may have. Shorten it.";
      }
    ]
    ++ map (user: {
      assertion = config.users.users ? ${user};
      message = "services.nixmaker.inbox.users names “${user}”, which is not a user of this machine (users.users). Correct the name, or add the user.";
    }) cfg.inbox.users
    ++ map (key: {
      # A second line would be a key without `restrict`.
      assertion = builtins.match "[^\n]+" key != null;
      message = "services.nixmaker.inbox.authorizedKeys has an entry with more than one line: “${key}”. Give each key its own entry.";
    }) authorizedKeys;

    users.groups.${cfg.inbox.group}.members = cfg.inbox.users;
    # Sticky: nobody can remove what somebody else has dropped. The default ACL lets the agent read what a strict umask
    # would hide.
    systemd.tmpfiles.settings."10-nixmaker" = {
      ${inbox} = {
        d = {
          mode = "3770";
          user = "nixmaker";
          inherit (cfg.inbox) group;
        };
        "a+".argument = "default:user:nixmaker:rwX";
      };
    }
    # Beside it in the chroot, and readable by the machine's own users: journals, the floor, receipts. A courier is not one of them.
    // lib.mapAttrs (_: owner: lib.mkIf hasDropUser {
      d = {
        mode = "0755";
        user = owner;
        group = owner;
      };
      "a+".argument = "user:${dropUser}:---";
    }) {
      "/var/lib/nixmaker/state" = "nixmaker";
      "/var/lib/nixmaker/activation" = "root";
    };
    # Here tmpfiles manages the folder: systemd would give it and its contents back to the agent's own group at each start.
    systemd.services.nixmaker.serviceConfig = {
      StateDirectory = [
        ""
        "nixmaker/state"
      ];
      ReadWritePaths = [ inbox ];
    };

    users.users.${dropUser} = lib.mkIf hasDropUser {
      isSystemUser = true;
      inherit (cfg.inbox) group;
      description = "Copies nixmaker bundles by scp";
      home = "/var/empty";
      # No password, but not locked either: without PAM, sshd rejects users whose password begins with “!” (sshd(8)).
      hashedPassword = "*";
      # sshd starts internal-sftp in its own process, and so needs no shell.
      openssh.authorizedKeys.keys = map keys.restricted authorizedKeys;
    };
    # The chroot must belong to root, as /var/lib/nixmaker does; scp has used SFTP since OpenSSH 9.0. One key is enough here,
    # whatever the machine asks of other users.
    services.openssh.extraConfig = lib.mkIf hasDropUser ''
      Match User ${dropUser}
        AuthenticationMethods publickey
        ForceCommand internal-sftp -u 0007
        ChrootDirectory /var/lib/nixmaker
        DisableForwarding yes
        PermitTTY no
        PasswordAuthentication no
      Match All
    '';
  };
}
