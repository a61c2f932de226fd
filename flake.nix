{
  description = "Updates for NixOS machines that nothing can reach over a network";

  # No inputs on purpose: whoever imports the module brings their own nixpkgs.
  outputs =
    { self }:
    {
      nixosModules.default = import ./nixos-module;
      nixosModules.nixmaker = self.nixosModules.default;
    };
}
