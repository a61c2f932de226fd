# nixpkgs keeps a key pair for tests here.
_: {
  snakeOilEd25519PrivateKey = "/nix/store/snake-oil-key";
  snakeOilEd25519PublicKey = "ssh-ed25519 AAAA snake-oil";
}
