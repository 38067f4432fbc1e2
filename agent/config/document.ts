import {
  isAlias,
  isMap,
  isNode,
  isPair,
  isScalar,
  LineCounter,
  parseDocument,
  visit,
  type Document,
} from "yaml";
import type { Finding } from "./rules.ts";
import { configSchema } from "./schema.ts";

const plainWords: Readonly<Record<string, string>> = {
  DUPLICATE_KEY: "duplicate key",
  MULTIPLE_DOCS: "a second document begins here; the configuration must be one document",
};

/** A YAML text as a plain value, with the position of each key. */
export class ConfigDocument {
  /** Problems with its YAML. */
  readonly findings: readonly Finding[];
  /** The text cannot be parsed reliably: `value` is empty. */
  readonly broken: boolean;
  readonly value: unknown;
  readonly #name: string;
  readonly #lines = new LineCounter();
  readonly #document: Document.Parsed | undefined;
  /** Offsets of findings about a position, not a key. */
  readonly #offsets = new Map<Finding, number>();

  constructor(text: string, name: string) {
    this.#name = name;
    const findings: Finding[] = [];
    const found = (offset: number, what: string): void => {
      const finding: Finding = { path: [], text: what };
      this.#offsets.set(finding, offset);
      findings.push(finding);
    };
    this.findings = findings;
    let value: unknown = {};
    let broken = false;
    try {
      const document = parseDocument(text, {
        lineCounter: this.#lines,
        prettyErrors: false,
        stringKeys: true,
        uniqueKeys: true,
        logLevel: "error", // "silent" would also accept the first of several documents without a warning
      });
      this.#document = document;
      for (const { code, message, pos } of [...document.errors, ...document.warnings]) {
        if (code !== "DUPLICATE_KEY") broken = true;
        found(pos[0], plainWords[code] ?? firstLine(message));
      }
      visit(document, {
        Node: (_, node) => {
          if (!isAlias(node)) return undefined;
          broken = true;
          found(node.range?.[0] ?? 0, "aliases (*name) are not supported; write the value out");
          return visit.BREAK;
        },
      });
      if (!broken) value = withoutEmptySections(document.toJS({ maxAliasCount: 0 }));
    } catch (thrown) {
      // Only the parser's own limits end here, e.g. brackets nested so deep that the stack overflows.
      broken = true;
      found(
        0,
        `cannot be parsed as YAML: ${thrown instanceof Error ? firstLine(thrown.message) : "unknown error"}`,
      );
    }
    this.broken = broken;
    this.value = value;
  }

  /** `FILE:LINE:COLUMN: section.key: problem`. */
  format(finding: Finding): string {
    const { line, col } = this.#lines.linePos(this.#offsetOf(finding));
    const place = line > 0 ? `${this.#name}:${line}:${col}` : this.#name;
    const key = finding.path.join(".");
    return key === "" ? `${place}: ${finding.text}` : `${place}: ${key}: ${finding.text}`;
  }

  inOrder(findings: readonly Finding[]): Finding[] {
    return [...findings].sort((a, b) => this.#offsetOf(a) - this.#offsetOf(b));
  }

  /** The position of the key, or of its nearest ancestor in the text. */
  #offsetOf(finding: Finding): number {
    const known = this.#offsets.get(finding);
    if (known !== undefined) return known;
    let node: unknown = this.#document?.contents;
    let offset = 0;
    for (const step of finding.path) {
      if (isMap(node)) {
        const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(step));
        if (pair === undefined) break;
        if (isNode(pair.key)) offset = pair.key.range?.[0] ?? offset;
        node = pair.value;
      } else {
        const item: unknown = this.#document?.getIn(
          [...finding.path.slice(0, finding.path.indexOf(step) + 1)],
          true,
        );
        if (!isNode(item) || isPair(item)) break;
        offset = item.range?.[0] ?? offset;
        node = item;
      }
    }
    return offset;
  }
}

/** `api:` with nothing below it (all its keys commented out) is an empty section. */
function withoutEmptySections(value: unknown): unknown {
  if (value === null) return {};
  if (typeof value !== "object" || Array.isArray(value)) return value;
  const sections = Object.entries(value);
  return Object.fromEntries(
    sections.filter(([name, section]) => section !== null || !(name in configSchema.shape)),
  );
}

const firstLine = (message: string): string => message.split("\n")[0] ?? "";
