import { unexpected } from "../unexpected.ts";

/** libvirt's own bound on bitmaps of host cpus and NUMA nodes (VIR_DOMAIN_CPUMASK_LEN). */
const maxMember = 16_383;

/** "0-3,8,^2" as [0, 1, 3, 8]: ascending, without repeats. `place` names it in an error. */
export function parseCpuSet(text: string, place = () => "a cpu set"): number[] {
  const members = new Set<number>();
  for (const part of text.split(",")) {
    if (part.trim() === "") continue;
    const range = /^\s*(\^?)(\d{1,5})(?:-(\d{1,5}))?\s*$/.exec(part);
    const first = Number(range?.[2]);
    const last = Number(range?.[3] ?? range?.[2]);
    if (!range || last < first || last > maxMember || (range[1] === "^" && range[3] !== undefined)) {
      throw unexpected(place(), `is not a set of numbers: ${JSON.stringify(text.slice(0, 60))}`);
    }
    for (let member = first; member <= last; member++) {
      if (range[1] === "^") members.delete(member);
      else members.add(member);
    }
  }
  return [...members].sort((a, b) => a - b);
}

/** [0, 1, 2, 8] as "0-2,8". */
export function formatCpuSet(members: readonly number[]): string {
  const parts: string[] = [];
  const sorted = [...new Set(members)].sort((a, b) => a - b);
  for (let start = 0; start < sorted.length;) {
    let end = start;
    while (sorted[end + 1] === (sorted[end] ?? 0) + 1) end++;
    parts.push(start === end ? String(sorted[start]) : `${sorted[start] ?? 0}-${sorted[end] ?? 0}`);
    start = end + 1;
  }
  return parts.join(",");
}
