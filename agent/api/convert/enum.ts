import { SocleError } from "../../kernel/errors.ts";

/** A domain's words and the contract's names for them, both ways. */
export interface EnumWords<Word extends string, Name extends string> {
  toProto(word: Word): Name;
  /**
   * Undefined for the contract's zero (UNSPECIFIED). Throws `invalid` for what the contract does not know, which comes
   * from a newer caller and must not be taken for something else.
   */
  fromProto(field: string, name: string | number): Word | undefined;
}

export function enumWords<Word extends string, Name extends string>(
  unspecified: string,
  names: Readonly<Record<Word, Name>>,
): EnumWords<Word, Name> {
  const words = new Map<string | number, Word>();
  for (const word in names) words.set(names[word], word);
  return {
    toProto: (word) => names[word],
    fromProto(field, name) {
      const word = words.get(name);
      if (word !== undefined || name === unspecified) return word;
      const fields = { [field]: `${name} is not known here` };
      throw new SocleError("invalid", "UNKNOWN_VALUE", `${field}: ${name} is not known to this agent`, {
        details: { fields },
      });
    },
  };
}
