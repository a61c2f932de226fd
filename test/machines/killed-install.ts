/**
 * killed-install.ts REQUEST WHEN NAME: an installation as the command line makes it, but for one thing: at the step of that name (`at`), or
 * before or after a program is run that has that argument (`starting`, `started`), it ends itself with SIGKILL. It is also its own inner half.
 */
import { text } from 'node:stream/consumers';
import { enterAsAsked } from '../../src/target/install/enter-root.ts';
import { firstInstall, type InstallRequest } from '../../src/target/install/install.ts';

const [request = '', when = '', name = ''] = process.argv.slice(2);
const kill = () => process.kill(process.pid, 'SIGKILL');

async function main(): Promise<void> {
  if (request === 'enter-root') {
    process.stdout.write(JSON.stringify(await enterAsAsked(await text(process.stdin))));
    return;
  }
  const asked = JSON.parse(request) as Omit<InstallRequest, 'emit' | 'run'>;
  await firstInstall({
    ...asked,
    emit: ({ event, step }) => {
      if (when === 'at' && (event === name || (event === 'install-step' && step === name))) kill();
    },
  });
}

void main();
