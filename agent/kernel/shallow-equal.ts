/** Whether both have the same members with identical values (Object.is). */
export function shallowEqual<T extends object>(one: T, other: T): boolean {
  const members = Object.keys(one) as (keyof T)[];
  return (
    members.length === Object.keys(other).length &&
    members.every((member) => Object.hasOwn(other, member) && Object.is(one[member], other[member]))
  );
}
