import type { Command as Cli } from "commander";
import type { Command } from "../session.ts";

export const completionOf =
  (program: Cli): Command =>
  (session) => {
    session.print(bashCompletion(program));
    return Promise.resolve(undefined);
  };

/** A bash script that completes commands, options and their values, and asks the agent for VMs and conditions. */
export function bashCompletion(program: Cli): string {
  const cases = [...paths(program, [])].map(({ path, words, asked }) => {
    const pattern = path.length === 0 ? '""' : `"${path.join(" ")}"`;
    const also = asked === undefined ? "" : ` ask=${asked}`;
    return `    ${pattern}) words="${words.join(" ")}"${also} ;;`;
  });
  return `# bash completion for socle; socle completion bash prints it.
_socle() {
  local word path="" words="" ask="" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="\${COMP_WORDS[i]}"
    case "$word" in
      -*) ;;
      *) case " $(_socle_commands "$path") " in *" $word "*) path="\${path:+$path }$word" ;; esac ;;
    esac
  done
  case "$path" in
${cases.join("\n")}
  esac
  word="\${COMP_WORDS[COMP_CWORD]}"
  case "$path \${COMP_WORDS[COMP_CWORD - 1]}" in
${[...values(program, [])].join("\n")}
    *)
      if [[ "$word" != -* ]]; then
        case "$ask" in
          vm) words="$words $(socle vm ls --quiet 2>/dev/null)" ;;
          condition) words="$words $(socle health 2>/dev/null | awk '/held until/ { print $1 }' | sort -u)" ;;
          file) ask=files ;;
        esac
      fi
      ;;
  esac
  if [[ "$ask" == files ]]; then
    mapfile -t COMPREPLY < <(compgen -f -- "$word")
    return
  fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
_socle_commands() {
  case "$1" in
${[...paths(program, [])]
  .filter(({ commands }) => commands.length > 0)
  .map(({ path, commands }) => `    "${path.join(" ")}") echo "${commands.join(" ")}" ;;`)
  .join("\n")}
  esac
}
complete -F _socle socle
`;
}

interface Node {
  readonly path: readonly string[];
  readonly commands: readonly string[];
  readonly words: readonly string[];
  /** What an argument is, where that is not one of the words. */
  readonly asked: "vm" | "condition" | "file" | undefined;
}

/** A case for each option with a value that can be told: it is one of these, or a file. */
function* values(command: Cli, path: readonly string[]): Generator<string> {
  for (const { long, argChoices, flags } of [command, ...ancestors(command)].flatMap(
    ({ options }) => options,
  )) {
    const then =
      argChoices !== undefined
        ? `words="${argChoices.join(" ")}"`
        : /<(file|path)>/.test(flags)
          ? "ask=files"
          : undefined;
    if (long != null && then !== undefined) yield `    "${[...path, long].join(" ")}") ${then} ;;`;
  }
  for (const inner of command.commands) yield* values(inner, [...path, inner.name()]);
}

function* paths(command: Cli, path: readonly string[]): Generator<Node> {
  const commands = command.commands.map((inner) => inner.name());
  const options = [command, ...ancestors(command)].flatMap((of) =>
    of.options.flatMap(({ long }) => long ?? []),
  );
  const asked = (["vm", "condition", "file"] as const).find((what) =>
    command.registeredArguments.some((argument) => argument.name() === what),
  );
  const choices = command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []);
  yield { path, commands, words: [...commands, ...choices, ...new Set(options), "--help"], asked };
  for (const inner of command.commands) yield* paths(inner, [...path, inner.name()]);
}

function ancestors({ parent }: Cli): Cli[] {
  return parent === null ? [] : [parent, ...ancestors(parent)];
}
