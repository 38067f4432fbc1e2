import { stringify } from "yaml";
import { configKeys, type ConfigKey } from "./keys.ts";

const inline = { collectionStyle: "flow", flowCollectionPadding: false } as const;

const heading = [
  "Configuration of the Socle agent. Every key is optional; this file shows the defaults.",
  "Check a changed file with `socle config check FILE`; `systemctl reload socle-agent` applies what it can.",
];

/** A configuration file with every key, its description and its default. Parsed, it equals the defaults. */
export function exampleConfig(): string {
  const lines = heading.map((text) => `# ${text}`);
  let current = "";
  for (const { section, name, description, defaultValue, allowed, inner } of configKeys()) {
    if (section !== current) lines.push("", `${section}:`);
    current = section;
    const words = [description, allowed].filter((text) => text !== "").join(" ");
    lines.push(...wrapped(words, 96).map((text) => `  # ${text}`));
    lines.push(...commented(inner, "    "));
    const value = stringify(defaultValue ?? null, inline).trimEnd();
    lines.push(defaultValue === undefined ? `  # ${name}:` : `  ${name}: ${value}`);
  }
  return `${lines.join("\n")}\n`;
}

/** The keys below a key, with their defaults. */
const commented = (keys: ConfigKey["inner"], indent: string): string[] =>
  keys.flatMap(({ name, description, defaultValue, allowed, inner }) => {
    const value = stringify(defaultValue ?? null, inline).trimEnd();
    const words = [`${name} (${value}):`, description, allowed].filter((text) => text !== "").join(" ");
    return [
      ...wrapped(words, 92).map((text) => `  #${indent.slice(2)}${text}`),
      ...commented(inner, `${indent}  `),
    ];
  });

function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}
