import { SocleError } from "../kernel/errors.ts";

type Upper<Word extends string> = Word extends `${infer Head}${"-" | " "}${infer Tail}`
  ? `${Uppercase<Head>}_${Upper<Tail>}`
  : Uppercase<Word>;

/** The agent's words for the values of a protobuf enum, both ways. */
export interface EnumWords<Prefix extends string, Word extends string> {
  readonly words: readonly Word[];
  toProto<W extends Word>(word: W): `${Prefix}_${Upper<W>}`;
  /**
   * Undefined for the contract's zero (UNSPECIFIED). Throws `invalid` UNKNOWN_VALUE for a value that this agent does not
   * know: a newer caller sent it, and it must not be taken for another.
   */
  fromProto(field: string, name: string | number): Word | undefined;
}

/** By the style of the contract, `VM_STATE` and "running" give `VM_STATE_RUNNING`. */
export function enumWords<const Prefix extends string, const Word extends string>(
  prefix: Prefix,
  all: readonly Word[],
): EnumWords<Prefix, Word> {
  const nameOf = <W extends string>(word: W) =>
    `${prefix}_${word.toUpperCase().replaceAll(/[- ]/g, "_") as Upper<W>}` as const;
  const names = new Map(all.map((word) => [word, nameOf(word)]));
  const words = new Map<string | number, Word>(all.map((word) => [nameOf(word), word]));
  return {
    words: all,
    toProto: <W extends Word>(word: W) => (names.get(word) ?? nameOf(word)) as `${Prefix}_${Upper<W>}`,
    fromProto(field, name) {
      const word = words.get(name);
      if (word !== undefined || name === `${prefix}_UNSPECIFIED`) return word;
      const fields = { [field]: `${name} is not known here` };
      throw new SocleError("invalid", "UNKNOWN_VALUE", `${field}: ${name} is not known to this agent`, {
        details: { fields },
      });
    },
  };
}
