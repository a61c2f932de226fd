/** A system of many recipes, of which nothing but the system itself is ever built. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { copySample } from '../machines/builder.ts';
import { nixSystem } from '../machines/program.ts';

/**
 * A flake whose host `host` refers to so many derivations, each of which refers to up to eight before it, with an environment as a
 * package of nixpkgs has it: some 2 KB a recipe. The system names them as files, so they are its closure as well.
 */
export async function writeRecipes(folder: string, count: number): Promise<void> {
  await copySample(folder);
  const text = `{ outputs = { self }: let
    mkSystem = import ./system.nix;
    elemAt = builtins.elemAt;
    recipes = builtins.genList recipe ${count};
    # Some before it, near and far.
    before = n: builtins.filter (m: m >= 0) [ (n - 1) (n - 2) (n - 7) (n - 31) (n - 101) (n - 409) (n - 1777) (n / 2 - 1) ];
    recipe = n: derivation {
      name = "package-\${toString n}-1.\${toString (n - 10 * (n / 10))}";
      system = "${nixSystem}"; builder = "/bin/sh"; args = [ "-c" "echo \${toString n} >$out" ];
      buildInputs = map (elemAt recipes) (before n);
      buildPhase = ''${'make -j$NIX_BUILD_CORES\\n'.repeat(40)}'';
      meta = "package \${toString n} of ${count}";
    };
    # One after the other, for each forces those before it: all at once would exhaust the stack.
    inOrder = builtins.foldl' (_: n: builtins.seq (elemAt recipes n).drvPath null) null (builtins.genList (n: n) ${count});
    ends = builtins.seq inOrder builtins.genList (n: builtins.unsafeDiscardOutputDependency (elemAt recipes (${count} - 1 - n)).drvPath) ${Math.min(count, 200)};
  in { nixosConfigurations.host = mkSystem { hostName = "host"; motd = builtins.concatStringsSep " " (ends); }; }; }`;
  await writeFile(join(folder, 'flake.nix'), text);
}
