/** Completions for bash, zsh and fish: verbs and options as they are; files for everything else. Nothing is started for them. */
import type { Command, Option } from 'commander';

interface Verb {
  /** `keyring sign`: the words that make up the verb. */
  readonly words: readonly string[];
  readonly description: string;
  readonly options: readonly Option[];
  readonly choices: readonly string[];
}

const isShown = (command: Command) => !(command as unknown as { readonly _hidden: boolean })._hidden;

export function verbsOf(program: Command): Verb[] {
  const walk = (command: Command, words: readonly string[]): Verb[] => [
    {
      words,
      description: command.description(),
      options: [...command.options.filter((o) => !o.hidden), ...helpOf(command)],
      choices: command.commands.filter(isShown).map((c) => c.name()),
    },
    ...command.commands.filter(isShown).flatMap((c) => walk(c, [...words, c.name()])),
  ];
  return walk(program, []);
}

const helpOf = (command: Command): Option[] =>
  command
    .createHelp()
    .visibleOptions(command)
    .filter((o) => o.long === '--help');

const flagsOf = (options: readonly Option[]) =>
  options.flatMap((o) => [o.long, o.short].filter((flag) => flag != null));
const takesValue = (option: Option) => option.required || option.optional;

export function bashCompletion(verbs: readonly Verb[]): string {
  const cases = verbs.map(
    ({ words, options, choices }) =>
      `    '${words.join(' ')}') words='${[...choices, ...flagsOf(options)].join(' ')}' ;;`,
  );
  const groups = verbs
    .filter((v) => v.choices.length > 0 && v.words.length > 0)
    .map((v) => v.words.join(' '));
  const values = verbs.flatMap(({ options }) =>
    options
      .filter((o) => o.argChoices !== undefined)
      .map((o) => `    ${o.long}) words='${o.argChoices?.join(' ')}' ;;`),
  );
  const files = [
    ...new Set(
      verbs.flatMap((v) => flagsOf(v.options.filter((o) => takesValue(o) && o.argChoices === undefined))),
    ),
  ];
  return `# bash completion for nixmaker. Written by npm run docs; do not edit.
_nixmaker() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} verb='' words='' word
  COMPREPLY=()
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    [[ $word == -* ]] && continue
    case "$verb" in
    '') verb=$word ;;
    ${groups.map((g) => `'${g}'`).join('|')}) verb="$verb $word" ;;
    esac
  done
  case "$previous" in
${[...new Set(values)].join('\n')}
    ${files.join('|')}) compopt -o default; return ;;
    *)
      case "$verb" in
${cases.map((line) => `  ${line}`).join('\n')}
      esac
      [[ $verb != '' && $current != -* && $words != [a-z]* ]] && { compopt -o default; return; } ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -F _nixmaker nixmaker
`;
}

const quoted = (text: string) => text.replaceAll("'", '’');

export function fishCompletion(verbs: readonly Verb[]): string {
  const lines = verbs.flatMap(({ words, options, choices }) => {
    const [first, second] = words;
    const seen = `__fish_seen_subcommand_from`;
    const here =
      first === undefined
        ? '__fish_use_subcommand'
        : second === undefined
          ? choices.length > 0
            ? `${seen} ${first}; and not ${seen} ${choices.join(' ')}`
            : `${seen} ${first}`
          : `${seen} ${first}; and ${seen} ${second}`;
    const nested = choices.map((choice) => {
      const verb = verbs.find((v) => v.words.join(' ') === [...words, choice].join(' '));
      return `complete -c nixmaker -n '${here}' -f -a ${choice} -d '${quoted(verb?.description ?? '')}'`;
    });
    const flags = options.map((o) => {
      const short = o.short == null ? '' : ` -s ${o.short.slice(1)}`;
      const value =
        o.argChoices === undefined ? (takesValue(o) ? ' -r' : '') : ` -x -a '${o.argChoices.join(' ')}'`;
      return `complete -c nixmaker -n '${here}'${short} -l ${o.long?.slice(2)}${value} -d '${quoted(o.description)}'`;
    });
    return [...nested, ...flags];
  });
  return `# fish completion for nixmaker. Written by npm run docs; do not edit.\n${lines.join('\n')}\n`;
}

const zshText = (text: string) => quoted(text).replace(/[[\]:]/g, '\\$&');

export function zshCompletion(verbs: readonly Verb[]): string {
  const specs = (options: readonly Option[]) =>
    options.map((o) => {
      const value =
        o.argChoices === undefined
          ? takesValue(o)
            ? ':value:_files'
            : ''
          : `:value:(${o.argChoices.join(' ')})`;
      const repeat = o.variadic || Array.isArray(o.defaultValue) ? '*' : '';
      return `'${repeat}${o.long}[${zshText(o.description)}]${value}'`;
    });
  const cases = verbs
    .filter((v) => v.words.length > 0)
    .map(({ words, options, choices }) => {
      const rest = choices.length > 0 ? `'1:verb:(${choices.join(' ')})'` : `'*:file:_files'`;
      return `    '${words.join(' ')}') _arguments ${[...specs(options), rest].join(' ')} ;;`;
    });
  const top = verbs
    .filter((v) => v.words.length === 1)
    .map((v) => `    '${v.words[0]}:${zshText(v.description)}'`);
  const groups = verbs.filter((v) => v.words.length === 1 && v.choices.length > 0).map((v) => v.words[0]);
  return `#compdef nixmaker
# zsh completion for nixmaker. Written by npm run docs; do not edit.
_nixmaker() {
  local -a verbs
  verbs=(
${top.join('\n')}
  )
  if (( CURRENT == 2 )); then
    _describe verb verbs
    return
  fi
  local verb=$words[2]
  case $verb in
    ${groups.join('|')})
      if (( CURRENT > 3 )); then
        verb="$verb $words[3]"
        shift words; (( CURRENT-- ))
      fi ;;
  esac
  shift words; (( CURRENT-- ))
  case $verb in
${cases.join('\n')}
  esac
}
_nixmaker "$@"
`;
}
