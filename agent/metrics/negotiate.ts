import type { Format } from "./family.ts";

interface Choice {
  readonly name: string;
  readonly parameters: ReadonlyMap<string, string>;
  readonly quality: number;
}

/**
 * The format that an Accept header prefers; text where it has no preference, and where it accepts neither (a scrape
 * that is not understood says more than a 406).
 */
export function negotiateFormat(accept: string | undefined): Format {
  const choices = parseChoices(accept ?? "");
  const quality = (type: string, version: string): number => {
    const named = choices.filter(({ name, parameters }) => {
      const asked = parameters.get("version");
      return name === type && (asked === undefined || asked === version);
    });
    const group = `${type.slice(0, type.indexOf("/"))}/*`;
    const ranges = [named, ...[group, "*/*"].map((range) => choices.filter(({ name }) => name === range))];
    return Math.max(...(ranges.find((range) => range.length > 0) ?? []).map(({ quality }) => quality), 0);
  };
  return quality("application/openmetrics-text", "1.0.0") > quality("text/plain", "0.0.4")
    ? "openmetrics"
    : "text";
}

/** Whether an Accept-Encoding header takes gzip. */
export function acceptsGzip(acceptEncoding: string | undefined): boolean {
  const choices = parseChoices(acceptEncoding ?? "");
  const gzip =
    choices.find(({ name }) => name === "gzip" || name === "x-gzip") ??
    choices.find(({ name }) => name === "*");
  return gzip !== undefined && gzip.quality > 0;
}

/** RFC 9110, 12.4.2: values with parameters, `q` among them. */
function parseChoices(header: string): Choice[] {
  return header
    .split(",")
    .filter((part) => part.trim() !== "")
    .map((part) => {
      const [name = "", ...pairs] = part.split(";").map((piece) => piece.trim().toLowerCase());
      const parameters = new Map(
        pairs.map((pair) => {
          const [key = "", value = ""] = pair.split("=").map((piece) => piece.trim());
          return [key, value.replace(/^"(.*)"$/, "$1")] as const;
        }),
      );
      const quality = Number(parameters.get("q") ?? 1);
      return { name, parameters, quality: Number.isFinite(quality) ? Math.min(Math.max(quality, 0), 1) : 0 };
    });
}
