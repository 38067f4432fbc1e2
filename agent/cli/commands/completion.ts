import type { Command as Cli, Option } from "commander";
import { usageError } from "../errors.ts";
import type { Command } from "../session.ts";

export const completionOf =
  (program: Cli): Command =>
  (session) => {
    if (session.json) throw usageError("a completion is a shell script: leave out --json");
    session.print(bashCompletion(program));
    return Promise.resolve(undefined);
  };

/** A bash script that completes commands, options and their values, and asks the agent for VMs, images, volumes and conditions. */
export function bashCompletion(program: Cli): string {
  const nodes = [...nodesOf(program, [])];
  const places = nodes.slice(1).map(({ place, spellings }) => `      ${spellings}) place="${place}" ;;`);
  const words = nodes.map((node) => {
    const ask = node.asked === undefined ? "" : ` ask=${node.asked}`;
    return `      "${node.place}") words="${node.words.join(" ")}"${ask} ;;`;
  });
  return `# bash completion for socle; socle completion bash prints it.
_socle() {
  local word place="" words="" ask="" name i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "\${place:+$place }\${COMP_WORDS[i]}" in
${places.join("\n")}
    esac
  done
  if ! _socle_value "\${COMP_WORDS[COMP_CWORD - 1]}"; then
    case "$place" in
${words.join("\n")}
    esac
  fi
  word="\${COMP_WORDS[COMP_CWORD]}"
  COMPREPLY=()
  if [[ "$word" == -* ]]; then ask=""; fi
  # Without a reply the shell completes file names itself.
  if [[ "$ask" == file ]]; then return; fi
  compopt +o default 2>/dev/null || true
  while IFS= read -r name; do
    # Tenants choose VM names: quote each, so that the shell runs none of it.
    printf -v name %q "$name"
    if [[ "$name" == "$word"* ]]; then COMPREPLY+=("$name"); fi
  done < <(
    for name in $words; do printf '%s\\n' "$name"; done
    case "$ask" in
      vm) socle vm ls --quiet 2>/dev/null ;;
      volume) socle volume ls --quiet 2>/dev/null ;;
      image) socle image ls --quiet 2>/dev/null ;;
      condition) socle health 2>/dev/null | awk '/held until|socle health ack/ { print $1 }' | sort -u ;;
    esac
  )
}
# Sets the completion for an option's value; fails for an option without one.
_socle_value() {
  case "$1" in
${values(program)}
    *) return 1 ;;
  esac
}
complete -o default -F _socle socle
`;
}

/** The kind of an argument or option value that has no fixed words. */
const askable = ["vm", "image", "volume", "condition", "file"] as const;

interface Node {
  readonly place: string;
  /** The spellings, as a shell pattern. */
  readonly spellings: string;
  readonly words: readonly string[];
  readonly asked: (typeof askable)[number] | undefined;
}

function* nodesOf(command: Cli, path: readonly string[]): Generator<Node> {
  const commands = command.commands.map((inner) => inner.name());
  const options = [command, ...ancestors(command)].flatMap((of) =>
    of.options.flatMap(({ long }) => long ?? []),
  );
  const asked = askable.find((what) =>
    command.registeredArguments.some((argument) => argument.name() === what),
  );
  const choices = command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []);
  const spellings = [command.name(), ...command.aliases()].map((name) =>
    [...path.slice(0, -1), name].join(" "),
  );
  yield {
    place: path.join(" "),
    spellings: spellings.map((spelling) => `"${spelling}"`).join(" | "),
    words: [...commands, ...choices, ...new Set(options), "--help"],
    asked,
  };
  for (const inner of command.commands) yield* nodesOf(inner, [...path, inner.name()]);
}

/** One case per kind of value: fixed words, a file, a VM, or unknown. */
function values(program: Cli): string {
  const optionsOf = new Map<string, Set<string>>();
  for (const { long, short, argChoices, flags, required } of allOptions(program)) {
    if (!required) continue;
    const what = /<(.*)>/.exec(flags)?.[1] ?? "";
    const known =
      argChoices !== undefined
        ? `words="${argChoices.join(" ")}"`
        : ({ vm: "ask=vm", image: "ask=image", file: "ask=file", path: "ask=file" }[what] ?? ":");
    const alike = optionsOf.get(known) ?? new Set();
    for (const name of [short, long]) if (name != null) alike.add(name);
    optionsOf.set(known, alike);
  }
  return [...optionsOf].map(([known, names]) => `    ${[...names].join(" | ")}) ${known} ;;`).join("\n");
}

const allOptions = (command: Cli): Option[] => [...command.options, ...command.commands.flatMap(allOptions)];

const ancestors = ({ parent }: Cli): Cli[] => (parent === null ? [] : [parent, ...ancestors(parent)]);
