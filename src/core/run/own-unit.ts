/** The agent’s own unit, according to `systemctl show`. */

export interface OwnUnit {
  /** Of the running process (systemd.exec(5), INVOCATION_ID). */
  readonly invocation: string;
  /** systemd.service(5), Restart=. */
  readonly restart: string;
  /** What is started, and with which arguments. */
  readonly program: string;
  readonly command: string;
}

/** What an agent is started from. */
export interface Started extends OwnUnit {
  /** Distinguishes policies, and sets of settings. */
  readonly configuration: string;
}

/** @param text lines KEY=VALUE @returns undefined if it isn’t complete, as for a unit whose file is gone */
export function parseOwnUnit(text: string): OwnUnit | undefined {
  const propertyOf = (key: string) => new RegExp(`^${key}=(.+)$`, 'm').exec(text)?.[1];
  const [invocation, restart] = [propertyOf('InvocationID'), propertyOf('Restart')];
  // The rest is about the last start: times, process, exit code.
  const start = /^\{ path=(.+?) ; argv\[\]=(.*?) ; (?:ignore_errors|flags)=/.exec(
    propertyOf('ExecStart') ?? '',
  );
  const [, program, command] = start ?? [];
  if (invocation === undefined || restart === undefined || program === undefined || command === undefined)
    return undefined;
  return { invocation, restart, program, command };
}

/**
 * The program that would follow if the agent ended by itself. Only one that changed during its lifetime: the successor is then
 * measured by its own start, so no agent ends twice for the same change.
 * @param first at the agent’s start @param now undefined if systemd does not say @param invocation of this process
 */
export function programAfter(
  first: Started,
  now: Started | undefined,
  invocation: string | undefined,
): string | undefined {
  if (now === undefined || now.invocation !== invocation) return undefined;
  // An older unit would not start anything after a clean exit.
  if (now.restart !== 'always') return undefined;
  const isSame = now.command === first.command && now.program === first.program;
  return isSame && now.configuration === first.configuration ? undefined : now.program;
}
