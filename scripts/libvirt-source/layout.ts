/** The repository's line width, so that the formatter leaves generated files as they are. */
const WIDTH = 110;

/** Breaks a statement that is longer than a line: each item of its first list, and of lists in that, has its own line. */
export function layout(statement: string, indent = ""): string {
  if (indent.length + statement.length <= WIDTH) return indent + statement;
  const list = firstList(statement);
  if (list === undefined) return indent + statement;
  const items = list.items.map((item) => layout(`${item},`, `${indent}  `));
  return [indent + list.head, ...items, indent + list.tail].join("\n");
}

interface List {
  /** The statement up to the opening bracket, and from the closing one on. */
  readonly head: string;
  readonly items: readonly string[];
  readonly tail: string;
}

/** `struct({ ... })`: an object that is the only argument shares the lines of the parentheses. */
function firstList(text: string): List | undefined {
  const start = text.search(/[({]/) + 1;
  const items: string[] = [];
  let depth = 1;
  let at = start;
  let end = start;
  for (; depth > 0 && end < text.length; end += 1) {
    const letter = text.charAt(end);
    if ("({".includes(letter)) depth += 1;
    if (")}".includes(letter)) depth -= 1;
    if (depth === 0 || (depth === 1 && letter === ",")) {
      items.push(text.slice(at, end).trim());
      at = end + 1;
    }
  }
  const [only = "", ...others] = items.filter((item) => item !== "");
  if (start === 0 || only === "") return undefined;
  const [head, tail] = [text.slice(0, start), text.slice(end - 1)];
  const object = others.length === 0 && only.startsWith("{") ? firstList(only) : undefined;
  return object === undefined
    ? { head, items: [only, ...others], tail }
    : { head: head + object.head, items: object.items, tail: object.tail + tail };
}
