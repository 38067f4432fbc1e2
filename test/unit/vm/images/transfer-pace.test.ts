import assert from "node:assert/strict";
import { test } from "node:test";
import { configSchema } from "../../../../agent/config/schema.ts";
import { toSocleError } from "../../../../agent/kernel/errors.ts";
import { TransferPace } from "../../../../agent/vm/images/transfer-pace.ts";

const RATE = configSchema.parse({}).images.leastBytesPerSecond;
const TEN_MINUTES = 600;

/**
 * A transfer that passes on so many bytes in each second, from the start or from `from` on. Resolves with the seconds that it took
 * and how it ended.
 */
async function transferred(sizeBytes: number, rateAt: (second: number) => number) {
  let [second, done] = [0, 0];
  let tick: () => void = () => undefined;
  let dueAt = Infinity;
  const clock = {
    sleep: (ms: number): Promise<void> => {
      dueAt = second + ms / 1000;
      return new Promise((resolve) => (tick = resolve));
    },
  };
  const ended: string[] = [];
  const pace = new TransferPace(clock, RATE);
  await pace.keep(
    (why) => ended.push(toSocleError(why).reason),
    async (passed) => {
      while (done < sizeBytes && ended.length === 0) {
        second += 1;
        done += rateAt(second);
        passed(done);
        if (second < dueAt) continue;
        tick();
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
  );
  return { seconds: second, reason: ended[0] ?? "done" };
}

test("a sender below the least rate ends within its first period, however large the image", async () => {
  const slow = await transferred(2 ** 38, () => RATE - 1);
  assert.deepEqual(slow, { seconds: TEN_MINUTES, reason: "TRANSFER_TOO_SLOW" });
  // Bytes that came fast before are no credit.
  const later = await transferred(2 ** 38, (second) => (second <= TEN_MINUTES ? 2 ** 24 : 1));
  assert.deepEqual(later, { seconds: 2 * TEN_MINUTES, reason: "TRANSFER_TOO_SLOW" });
});

test("an honest slow line passes, also with pauses", async () => {
  const GIB = 2 ** 30;
  const steady = await transferred(GIB, () => RATE);
  assert.deepEqual(steady, { seconds: Math.ceil(GIB / RATE), reason: "done" });
  const bursts = await transferred(GIB, (second) => (second % 60 < 30 ? 0 : 2 * RATE));
  assert.equal(bursts.reason, "done");
});

test("no transfer lasts longer than its size at the least rate, and a period more", async () => {
  const sizeBytes = 300 * 2 ** 20;
  const allowed = Math.ceil(sizeBytes / RATE) + TEN_MINUTES;
  for (const rate of [RATE / 2, RATE - 1, RATE, RATE + 1])
    for (const from of [0, TEN_MINUTES, 2 * TEN_MINUTES]) {
      const { seconds } = await transferred(sizeBytes, (second) => (second > from ? rate : RATE));
      assert.ok(seconds <= allowed, `${rate} from ${from}: ${seconds} of ${allowed}`);
    }
});

test("a transfer that ended is not watched any more", async () => {
  let signal: AbortSignal | undefined;
  const clock = {
    sleep: (_: number, until?: AbortSignal): Promise<void> => {
      signal = until;
      return new Promise(() => undefined);
    },
  };
  const pace = new TransferPace(clock, RATE);
  const fail = (why: Error): never => assert.fail(why);
  assert.equal(await pace.keep(fail, () => Promise.resolve("whole")), "whole");
  assert.equal(signal?.aborted, true);
});
