/** Real servers for pools: nginx with TLS, and an object store that is compatible with S3 (tools/set-up/tools.sh fetches both). */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { mortal, run } from '../machines/program.ts';
import { freePort } from './free-port.ts';

const servers = process.env.NIXMAKER_SERVERS ?? '';
if (servers === '')
  throw new Error('NIXMAKER_SERVERS is not set: run this test with scripts/test, on Debian');
const program = (name: string) => join(servers, 'bin', name);

export interface Running {
  readonly port: number;
  close(): Promise<void>;
}

/** Waits until somebody listens there; fails with what the program said if it ends first. */
async function listening(child: ChildProcess, { port, address }: { port: number; address: string }) {
  let said = '';
  child.stderr?.on('data', (chunk) => (said += chunk));
  for (;;) {
    assert.equal(child.exitCode, null, said);
    const socket = connect({ port, host: address });
    const open = await Promise.race([
      once(socket, 'connect').then(() => true),
      once(socket, 'error').then(() => false),
    ]).catch(() => false);
    socket.destroy();
    if (open) return;
    await sleep(20);
  }
}

async function serving(
  command: readonly string[],
  where: { port: number; address: string },
): Promise<Running> {
  const [first = '', ...args] = [...mortal, ...command];
  const child = spawn(first, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  await listening(child, where);
  return {
    port: where.port,
    close: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

export interface Certificates {
  readonly ca: string;
  readonly server: { readonly certificate: string; readonly key: string };
  readonly client: { readonly certificate: string; readonly key: string };
}

/** An authority, and what it has signed: a server’s for [::1], and a client’s. */
export async function makeCertificates(folder: string): Promise<Certificates> {
  await mkdir(folder, { recursive: true });
  const openssl = async (...args: string[]) => {
    const env = { OPENSSL_CONF: '/dev/null' };
    const ran = await run(program('openssl'), args, { env });
    assert.equal(ran.code, 0, ran.stderr);
  };
  const file = (name: string) => join(folder, name);
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc', '-days', '30'];
  const self = [
    'req',
    '-x509',
    ...key,
    '-subj',
    '/CN=test authority',
    '-addext',
    'basicConstraints=critical,CA:TRUE',
  ];
  await openssl(...self, '-keyout', file('ca.key'), '-out', file('ca.pem'));
  const signed = async (name: string, subject: string) => {
    const by = ['-CA', file('ca.pem'), '-CAkey', file('ca.key')];
    const names = [
      '-addext',
      'subjectAltName=IP:::1,IP:127.0.0.1,IP:fd00::1',
      '-addext',
      'basicConstraints=CA:FALSE',
    ];
    const out = ['-keyout', file(`${name}.key`), '-out', file(`${name}.pem`)];
    await openssl('req', '-x509', ...key, ...by, '-subj', subject, ...names, ...out);
    return { certificate: file(`${name}.pem`), key: file(`${name}.key`) };
  };
  return {
    ca: file('ca.pem'),
    server: await signed('server', '/CN=server'),
    client: await signed('client', '/CN=web'),
  };
}

export interface Nginx extends Running {
  /** Requests so far: `GET /x 206 1234`. */
  requests(): Promise<string[]>;
}

/** Serves a folder over TLS on [::1], to whoever has a certificate of the authority. @param lines of the server’s configuration */
export async function startNginx(
  folder: string,
  {
    root,
    certificates: { ca, server },
    lines = '',
  }: { root: string; certificates: Certificates; lines?: string },
): Promise<Nginx> {
  await mkdir(folder, { recursive: true });
  const port = await freePort();
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${folder}/${name};`)
    .join('\n');
  const user = process.getuid?.() === 0 ? 'user root;' : '';
  await writeFile(
    join(folder, 'nginx.conf'),
    `${user} daemon off; master_process off; pid ${folder}/pid; error_log ${folder}/error.log;
events {}
http {
  ${temporary}
  log_format short '$request_method $uri $status $body_bytes_sent';
  access_log ${folder}/access.log short;
  server {
    listen [::1]:${port} ssl;
    ssl_certificate ${server.certificate}; ssl_certificate_key ${server.key};
    ssl_client_certificate ${ca}; ssl_verify_client on;
    root ${root};
    ${lines}
  }
}
`,
  );
  const command = [program('nginx'), '-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr'];
  const running = await serving(command, { port, address: '::1' });
  const requests = async () => (await readFile(join(folder, 'access.log'), 'utf8')).trimEnd().split('\n');
  return { ...running, requests };
}

/** An empty object store; a bucket is read by anybody. */
export async function startObjectStore(folder: string, bucket: string): Promise<Running> {
  await mkdir(folder, { recursive: true });
  const port = await freePort('127.0.0.1');
  const main = join(servers, 'object-store/node_modules/.bin/s3rver');
  const where = ['--address', '127.0.0.1', '--port', String(port), '--directory', folder, '--silent'];
  const command = [process.execPath, main, ...where, '--configure-bucket', bucket];
  return serving(command, { port, address: '127.0.0.1' });
}
