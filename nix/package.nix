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
      ../share
      ../scripts/compile
      ../tools/compile
    ];
  };

  nodejs = nodejs_24;
  npmDeps = importNpmLock { npmRoot = ../.; };
  npmConfigHook = importNpmLock.npmConfigHook;
  # esbuild's install script is not needed: its package holds the program.
  npmFlags = [ "--ignore-scripts" ];

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
  '';

  doInstallCheck = true;
  installCheckPhase = ''
    runHook preInstallCheck
    test "$($out/bin/nixmaker --version)" = "$version"
    runHook postInstallCheck
  '';

  meta = {
    description = "Updates for NixOS machines that nothing can reach over a network";
    license = lib.licenses.mit;
    mainProgram = "nixmaker";
    platforms = lib.platforms.linux;
  };
}
