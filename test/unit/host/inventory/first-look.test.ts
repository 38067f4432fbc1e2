import assert from "node:assert/strict";
import test from "node:test";
import { FirstLook } from "../../../../agent/host/inventory/first-look.ts";
import { FakeClock } from "../../../support/host/fake-clock.ts";

/** Whether it is settled once all pending work is done. */
async function isOver(waiting: Promise<void>): Promise<boolean> {
  let over = false;
  void waiting.then(() => (over = true));
  await new Promise(setImmediate);
  return over;
}

test("a caller waits for the first read, and not at all after it", async () => {
  const look = new FirstLook(new FakeClock(), 5000);
  const waiting = look.wait();
  assert.equal(await isOver(waiting), false);
  look.had();
  assert.equal(await isOver(waiting), true);
  assert.equal(await isOver(look.wait()), true);
});

test("the wait for a read that does not come ends", async () => {
  const clock = new FakeClock();
  const waiting = new FirstLook(clock, 5000).wait();
  clock.advance(4999);
  assert.equal(await isOver(waiting), false);
  clock.advance(1);
  assert.equal(await isOver(waiting), true);
});
