import { choicesIn } from "../http/negotiation.ts";
import type { Format } from "./family.ts";

/**
 * The format that an Accept header prefers; text without a preference, and where it accepts neither (a scrape in the wrong
 * format shows more than a 406).
 */
export function negotiateFormat(accept: string | undefined): Format {
  const choices = choicesIn(accept ?? "");
  const quality = (type: string, version: string): number => {
    const named = choices.filter(({ name, parameters }) => {
      const wanted = parameters.get("version");
      return name === type && (wanted === undefined || wanted === version);
    });
    const group = `${type.slice(0, type.indexOf("/"))}/*`;
    const ranges = [named, ...[group, "*/*"].map((range) => choices.filter(({ name }) => name === range))];
    return Math.max(...(ranges.find((range) => range.length > 0) ?? []).map(({ quality }) => quality), 0);
  };
  return quality("application/openmetrics-text", "1.0.0") > quality("text/plain", "0.0.4")
    ? "openmetrics"
    : "text";
}
