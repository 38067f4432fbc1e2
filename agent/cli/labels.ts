import { usageError } from "./errors.ts";

/** `key=value` words as a map. Throws `invalid`. */
export const parseLabels = (words: readonly string[] = []): Record<string, string> =>
  Object.fromEntries(
    words.map((word) => {
      const equals = word.indexOf("=");
      if (equals < 1) throw usageError(`--label takes key=value, not '${word}'`);
      return [word.slice(0, equals), word.slice(equals + 1)];
    }),
  );
