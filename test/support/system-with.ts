/** Systems that have more in them than the sample’s. */
import { nixSystem } from '../machines/program.ts';
import { plainHost } from './fleet.ts';

/** The sample’s system with more in it. @param add shell lines */
export const systemWith = (
  name: string,
  add: string,
) => `let plain = (${plainHost('web', name)}).config.system.build.toplevel; in {
  config.networking.hostName = "web";
  config.system.build.toplevel = derivation {
    name = "nixos-system-web-26.05.${name}";
    system = "${nixSystem}";
    builder = "/bin/sh";
    PATH = "/usr/bin:/bin";
    args = [ "-euc" ''
      cp -r --no-dereference \${plain}/. $out
      chmod -R u+w $out
      sed -i "s|\${plain}|$out|g" $out/init $out/bin/switch-to-configuration
      ${add}
    '' ];
  };
}`;
