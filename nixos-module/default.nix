# services.nixmaker: the target's agent as a NixOS service.
{
  imports = [
    ./options.nix
    ./policy.nix
    ./services.nix
    ./inbox.nix
    ./media.nix
  ];
  # Nobody of nixpkgs' own; the project's issue tracker is where to ask.
  meta.maintainers = [ ];
}
