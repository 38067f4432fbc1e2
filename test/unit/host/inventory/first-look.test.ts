import assert from "node:assert/strict";
import test from "node:test";
import { FirstLook } from "../../../../agent/host/inventory/first-look.ts";
import { FakeClock } from "../../../support/host/fake-clock.ts";

/** Whether it is over, once everything that can happen now has happened. */
async function isOver(waiting: Promise<void>): Promise<boolean> {
  let over = false;
  void waiting.then(() => (over = true));
  await new Promise(setImmediate);
  return over;
}

test("who needs a first look waits for it, at once no longer when it was had", async () => {
  const look = new FirstLook(new FakeClock(), 5000);
  const waiting = look.wait();
  assert.equal(await isOver(waiting), false);
  look.had();
  assert.equal(await isOver(waiting), true);
  assert.equal(await isOver(look.wait()), true);
});

test("a look that does not come is not waited for any longer", async () => {
  const clock = new FakeClock();
  const waiting = new FirstLook(clock, 5000).wait();
  clock.advance(4999);
  assert.equal(await isOver(waiting), false);
  clock.advance(1);
  assert.equal(await isOver(waiting), true);
});
