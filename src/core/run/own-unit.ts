/** The agent’s own unit, as `systemctl show` tells it. */

export interface OwnUnit {
  /** Of the process that runs (systemd.exec(5), INVOCATION_ID). */
  readonly invocation: string;
  /** systemd.service(5), Restart=. */
  readonly restart: string;
  /** What is started, and with which arguments. */
  readonly program: string;
  readonly command: string;
}

/** What an agent is started from. */
export interface Started extends OwnUnit {
  /** Tells one policy, and one set of settings, from another. */
  readonly configuration: string;
}

/** @param text lines KEY=VALUE @returns undefined where it isn’t whole, as of a unit whose file is gone */
export function parseOwnUnit(text: string): OwnUnit | undefined {
  const propertyOf = (key: string) => new RegExp(`^${key}=(.+)$`, 'm').exec(text)?.[1];
  const [invocation, restart] = [propertyOf('InvocationID'), propertyOf('Restart')];
  // What follows is of the last start: times, process, exit code.
  const start = /^\{ path=(.+?) ; argv\[\]=(.*?) ; (?:ignore_errors|flags)=/.exec(
    propertyOf('ExecStart') ?? '',
  );
  const [, program, command] = start ?? [];
  if (invocation === undefined || restart === undefined || program === undefined || command === undefined)
    return undefined;
  return { invocation, restart, program, command };
}

/**
 * The program that would follow, were the agent to end by itself. Only one that has changed in its lifetime: what is started is then
 * measured by its own start, and so no agent ends twice for the same.
 * @param first of the agent’s start @param now undefined where systemd does not say @param invocation of this process
 */
export function programAfter(
  first: Started,
  now: Started | undefined,
  invocation: string | undefined,
): string | undefined {
  if (now === undefined || now.invocation !== invocation) return undefined;
  // An older unit would not have anything started after an end without a fault.
  if (now.restart !== 'always') return undefined;
  const isSame = now.command === first.command && now.program === first.program;
  return isSame && now.configuration === first.configuration ? undefined : now.program;
}
