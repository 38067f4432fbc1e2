// Writes a journal that is compacted repeatedly, and prints each durable record: `KEY NUMBER`.
import { silentLog } from "../../agent/kernel/log.ts";
import { Journal } from "../../agent/state/journal/journal.ts";

const RECORDS = 150;
const KEYS = 10;

const [path = ""] = process.argv.slice(2);
const newest = new Map<number, number>();
const journal = await Journal.open(path, {
  kind: "test",
  log: silentLog,
  replay: () => undefined,
  live: () => [...newest].map(([key, number]) => ({ key, number, padding: "x".repeat(100) })),
  compactAboveBytes: 2000,
});
const writer = async (start: number): Promise<void> => {
  for (let number = start; number < RECORDS; number += 3) {
    const key = number % KEYS;
    newest.set(key, Math.max(newest.get(key) ?? 0, number));
    await journal.append({ key, number, padding: "x".repeat(100) });
    process.stdout.write(`${key} ${number}\n`);
  }
};
await Promise.all([writer(0), writer(1), writer(2)]);
await journal.close();
