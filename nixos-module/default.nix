# services.nixmaker: the target's agent as a NixOS service. A path is its own key: imported twice, it counts once.
{
  imports = [
    ./options.nix
    ./policy.nix
    ./nix.nix
    ./services.nix
    ./boot.nix
    ./desktop.nix
    ./inbox.nix
    ./media.nix
    ./fetch.nix
    ./serve.nix
    ./persistence.nix
  ];
  # No nixpkgs maintainers; ask in the project's issue tracker.
  meta.maintainers = [ ];
}
