# The type of pkgs.formats.json, for nixpkgs' own lib (pkgs-lib needs all of pkgs).
{ lib }:
let
  inherit (lib) types;
  type =
    types.nullOr (
      types.oneOf [
        types.bool
        types.int
        types.float
        types.str
        types.path
        (types.attrsOf type)
        (types.listOf type)
      ]
    )
    # A type that has itself within can't be described by what it is made of.
    // {
      description = "JSON value";
    };
in
{
  inherit type;
}
