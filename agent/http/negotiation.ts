/** A value of an Accept header. */
export interface Choice {
  readonly name: string;
  readonly parameters: ReadonlyMap<string, string>;
  /** 0: not acceptable. */
  readonly quality: number;
}

/** RFC 9110, 12.4.2: values with parameters, `q` among them. */
export const choicesIn = (header: string): Choice[] =>
  header
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

/** Whether an Accept-Encoding header takes gzip. */
export function acceptsGzip(acceptEncoding: string | undefined): boolean {
  const choices = choicesIn(acceptEncoding ?? "");
  const gzip =
    choices.find(({ name }) => name === "gzip" || name === "x-gzip") ??
    choices.find(({ name }) => name === "*");
  return gzip !== undefined && gzip.quality > 0;
}
