# The package, for callPackage. No development dependency is in its closure; what nixmaker starts by name is on its PATH,
# but for Nix and systemd, which must be the system's own.
{
  lib,
  buildNpmPackage,
  importNpmLock,
  nodejs_24,
  makeWrapper,
  coreutils,
  gnutar,
  gzip,
  util-linux,
  # The machines of test/nixos, where flake.nix asks for the package. (`tests` is a name that nixpkgs has.)
  nixmakerTests ? { },
}:
buildNpmPackage {
  pname = "nixmaker";
  inherit (lib.importJSON ../package.json) version;

  src = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.unions [
      ../package.json
      ../package-lock.json
      ../tsconfig.json
      ../src
      ../systemd
      ../nixos-module
      ../docs
      ../README.md
      ../LICENSE
      ../share
      ../scripts/compile
      ../tools/compile
    ];
  };

  nodejs = nodejs_24;
  npmDeps = importNpmLock { npmRoot = ../.; };
  # The hook as it is among `hooks` takes a Node.js of its own; the one beside them would take importNpmLock's arguments.
  npmConfigHook = importNpmLock.hooks.npmConfigHook.override { nodejs = nodejs_24; };
  # esbuild's install script is not needed: its package holds the program.
  npmFlags = [ "--ignore-scripts" ];
  # Nothing of node_modules is installed, so nothing has to be taken out of it.
  dontNpmPrune = true;

  nativeBuildInputs = [ makeWrapper ];

  # `npm run build` fetches its own tools, for those who have no Nix.
  buildPhase = ''
    runHook preBuild
    # Without what V8 makes of it, which differs from build to build: hosts built on two machines are to be the same.
    PATH=$PWD/node_modules/.bin:$PATH sh scripts/compile dist --reproducible
    runHook postBuild
  '';

  postInstall = ''
    wrapProgram $out/bin/nixmaker \
      --prefix PATH : ${
        lib.makeBinPath [
          coreutils
          gnutar
          gzip
          util-linux
        ]
      } \
      --suffix PATH : /run/current-system/sw/bin
    # It is all in dist/.
    rm -rf $out/lib/node_modules/nixmaker/node_modules
    cp -r share $out/share
    mkdir -p $out/share/doc
    cp -r docs $out/share/doc/nixmaker
    cp README.md $out/share/doc/nixmaker/
    install -D -m 644 LICENSE -t $out/share/licenses/nixmaker
  '';

  doInstallCheck = true;
  installCheckPhase = ''
    runHook preInstallCheck
    test "$($out/bin/nixmaker --version)" = "$version"
    runHook postInstallCheck
  '';

  passthru.tests = nixmakerTests;

  meta = {
    description = "Updates for NixOS machines that nothing can reach over a network";
    longDescription = ''
      An agent on the machine takes signed bundles from removable media or an inbox, verifies them, imports them into the
      Nix store, and switches to the new system or rolls back.
    '';
    license = lib.licenses.mit;
    mainProgram = "nixmaker";
    maintainers = [ ];
    platforms = lib.platforms.linux;
  };
}
