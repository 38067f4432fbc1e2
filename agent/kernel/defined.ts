/** T, with `undefined` allowed for each member that T may lack. */
type Undefinable<T> = T extends unknown
  ? {
      [K in keyof T]: string extends K
        ? T[K] | undefined
        : Partial<Pick<T, K>> extends Pick<T, K>
          ? T[K] | undefined
          : T[K];
    }
  : never;

/**
 * The object without its undefined members, which an optional member may not have under exactOptionalPropertyTypes. T is
 * what the context expects: a member that T does not have is a type error, as in any literal.
 */
export function defined<T extends object>(value: NoInfer<Undefinable<T>>): T {
  const given = value as Readonly<Record<string, unknown>>;
  const members: Record<string, unknown> = {};
  for (const name in given) if (given[name] !== undefined) members[name] = given[name];
  return members as T;
}

type Defined<T> = { [K in keyof T]: Exclude<T[K], undefined> };

/** The object without its undefined members: for messages, where each present member has a value. */
export const withoutUndefined = <T extends object>(value: T): Partial<Defined<T>> =>
  Object.fromEntries(Object.entries(value).filter(([, inner]) => inner !== undefined)) as Partial<Defined<T>>;
