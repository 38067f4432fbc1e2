import type { Command as Cli } from "commander";
import type { Command } from "../session.ts";

export const completionOf =
  (program: Cli): Command =>
  (session) => {
    session.print(bashCompletion(program));
    return Promise.resolve(undefined);
  };

/** A bash script that completes commands and options, and asks the agent for VM names. */
export function bashCompletion(program: Cli): string {
  const cases = [...paths(program, [])].map(({ path, words, vm }) => {
    const pattern = path.length === 0 ? '""' : `"${path.join(" ")}"`;
    return `    ${pattern}) words="${words.join(" ")}"${vm ? " vms=1" : ""} ;;`;
  });
  return `# bash completion for socle; socle completion bash prints it.
_socle() {
  local word path="" words="" vms="" i
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
  [[ -n "$vms" && "$word" != -* ]] && words="$words $(socle vm ls --quiet 2>/dev/null)"
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
  /** Whether an argument is a VM. */
  readonly vm: boolean;
}

function* paths(command: Cli, path: readonly string[]): Generator<Node> {
  const commands = command.commands.map((inner) => inner.name());
  const options = [command, ...ancestors(command)].flatMap((of) =>
    of.options.flatMap(({ long }) => long ?? []),
  );
  const vm = command.registeredArguments.some((argument) => argument.name() === "vm");
  const choices = command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []);
  yield { path, commands, words: [...commands, ...choices, ...new Set(options), "--help"], vm };
  for (const inner of command.commands) yield* paths(inner, [...path, inner.name()]);
}

function ancestors({ parent }: Cli): Cli[] {
  return parent === null ? [] : [parent, ...ancestors(parent)];
}
