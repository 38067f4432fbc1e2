import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { test } from "node:test";
import { Topic } from "../../../../agent/kernel/concurrency/topic.ts";
import type { LibvirtEvent } from "../../../../agent/libvirt/index.ts";
import { DomainNews } from "../../../../agent/vm/hypervisor/domain-news.ts";
import { sleepingClock } from "../../../support/vm/libvirt-answers.ts";

const ID = "6f1c2f1e-0000-4000-8000-000000000001";
const OTHER = "6f1c2f1e-0000-4000-8000-000000000002";

const removed = (uuid: string): LibvirtEvent => ({
  kind: "device_removed",
  domain: { name: "web-1", uuid, id: 3 },
  device: "ua-disk-data",
});

/** `woken`: the waits that an event ended. Others end only with `late`. */
function stage() {
  const events = new Topic<LibvirtEvent>();
  let late = (): void => undefined;
  let woken = 0;
  const clock = {
    ...sleepingClock(),
    sleep: (_ms: number, signal?: AbortSignal) =>
      new Promise<void>((resolve, reject) => {
        late = resolve;
        const wake = (): void => {
          woken += 1;
          reject(new Error("woken"));
        };
        signal?.addEventListener("abort", wake, { once: true });
      }),
  };
  const news = new DomainNews({ events }, clock, ID, "device_removed");
  return { events, news, late: () => late(), woken: () => woken };
}

/** Whether the wait ends without the passing of its time. */
async function ends(wait: Promise<void>): Promise<boolean> {
  let isOver = false;
  void wait.then(() => (isOver = true));
  for (let turn = 0; turn < 5; turn += 1) await setImmediate();
  return isOver;
}

test("an event of the domain ends a wait before its time", async () => {
  const { events, news, woken } = stage();
  const wait = news.next(1000);
  events.publish(removed(ID));
  assert.equal(await ends(wait), true);
  assert.equal(woken(), 1);
});

test("an event that came before the wait is not missed, and ends one wait only", async () => {
  const { events, news } = stage();
  events.publish(removed(ID));
  await setImmediate();
  assert.equal(await ends(news.next(1000)), true);
  assert.equal(await ends(news.next(1000)), false);
});

test("other domains and other events end no wait, and its time does", async () => {
  const { events, news, late } = stage();
  const wait = news.next(1000);
  events.publish(removed(OTHER));
  events.publish({ kind: "reboot", domain: { name: "web-1", uuid: ID, id: 3 } });
  assert.equal(await ends(wait), false);
  late();
  assert.equal(await ends(wait), true);
});

test("events that were lost end the wait: they may have been of the domain", async () => {
  const { events, news } = stage();
  const wait = news.next(1000);
  for (let count = 0; count < 20; count += 1) events.publish(removed(OTHER));
  assert.equal(await ends(wait), true);
});

test("a listener that has ended receives nothing", async () => {
  const { events, news } = stage();
  news[Symbol.dispose]();
  events.publish(removed(ID));
  assert.equal(await ends(news.next(1000)), false);
});
