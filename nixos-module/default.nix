# services.nixmaker: the target's agent as a NixOS service. A path, and so its own key: imported twice it counts once.
{
  imports = [
    ./options.nix
    ./policy.nix
    ./nix.nix
    ./services.nix
    ./boot.nix
    ./inbox.nix
    ./media.nix
    ./persistence.nix
  ];
  # Nobody of nixpkgs' own; the project's issue tracker is where to ask.
  meta.maintainers = [ ];
}
