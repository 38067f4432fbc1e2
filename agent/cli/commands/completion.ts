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
  const { ofCommands, ofOptions } = values(program);
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
  case "$place $1" in
${ofCommands}
    *) _socle_value_anywhere "$1" ;;
  esac
}
_socle_value_anywhere() {
  case "$1" in
${ofOptions}
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

/** What completes the value of an option: fixed words, a file, a VM, or nothing that is known. */
function knownOf({ argChoices, flags }: Option): string {
  const what = /<(.*)>/.exec(flags)?.[1] ?? "";
  return argChoices !== undefined
    ? `words="${argChoices.join(" ")}"`
    : ({ vm: "ask=vm", image: "ask=image", file: "ask=file", path: "ask=file" }[what] ?? ":");
}

interface Arms {
  /** By command and option: for the options whose values depend on the command. */
  readonly ofCommands: string;
  readonly ofOptions: string;
}

function values(program: Cli): Arms {
  const options = allOptions(program, []).filter(({ option }) => option.required);
  const namesOf = ({ short, long }: Option): string[] => [short, long].filter((name) => name != null);
  const meanings = new Map<string, Set<string>>();
  for (const { option } of options)
    for (const name of namesOf(option))
      meanings.set(name, new Set([...(meanings.get(name) ?? []), knownOf(option)]));
  const inCommands = new Map<string, Set<string>>();
  const anywhere = new Map<string, Set<string>>();
  for (const { place, option } of options)
    for (const name of namesOf(option)) {
      const isAlike = meanings.get(name)?.size === 1;
      const arms = isAlike ? anywhere : inCommands;
      const known = knownOf(option);
      const alike = arms.get(known) ?? new Set();
      arms.set(known, alike.add(isAlike ? name : `"${place} ${name}"`));
    }
  const text = (arms: typeof anywhere): string =>
    [...arms].map(([known, names]) => `    ${[...names].join(" | ")}) ${known} ;;`).join("\n");
  return { ofCommands: text(inCommands), ofOptions: text(anywhere) };
}

interface PlacedOption {
  readonly place: string;
  readonly option: Option;
}

const allOptions = (command: Cli, path: readonly string[]): PlacedOption[] => [
  ...command.options.map((option) => ({ place: path.join(" "), option })),
  ...command.commands.flatMap((inner) => allOptions(inner, [...path, inner.name()])),
];

const ancestors = ({ parent }: Cli): Cli[] => (parent === null ? [] : [parent, ...ancestors(parent)]);
