import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import * as p from "../../agent/libvirt/index.ts";
import { encoded, FakeDaemon } from "../support/libvirt/fake-daemon.ts";
import { recordedGuests, type RecordedGuest } from "./recorded-guests.ts";

const NO_SUPPORT = 3;
const OK = 0;

// The reader is measured: this process uses one CPU and leaves the others to the reader.
for (const flag of [
  "--expose-gc",
  "--no-parallel-scavenge",
  "--no-concurrent-marking",
  "--no-concurrent-sweeping",
])
  setFlagsFromString(flag);
const collectGarbage = runInNewContext("gc") as () => void;

export interface CrowdDaemon {
  readonly uri: string;
  readonly socketPath: string;
  /**
   * Builds the next reply with all guests' statistics ahead and collects this process's garbage, since the measured reader needs
   * the CPUs.
   */
  prepare(): void;
  /** Resolves once it has sent the next reply with all guests' statistics. */
  delivered(): Promise<void>;
}

/**
 * A libvirt with `count` guests, each a recorded one with its own name and id. Their counters grow from one reply to the next,
 * like those of busy guests.
 */
export async function startCrowdDaemon(
  owner: Parameters<typeof FakeDaemon.start>[0],
  guests: number,
): Promise<CrowdDaemon> {
  const recorded = JSON.parse(await readFile(recordedGuests, "utf8")) as RecordedGuest[];
  const crowd = Array.from({ length: guests }, (_, index) => copyOf(recorded, index));
  const byId = new Map(crowd.map((guest) => [guest.dom.uuid, guest]));
  const daemon = await FakeDaemon.start(owner);
  daemon.answersPings = true;
  let rounds = 0;
  const reply = (stats: number): Buffer => {
    const isState = stats === p.DomainStatsTypes.STATE;
    const retStats = crowd.map(({ dom, params }) => ({
      dom,
      params: params
        .filter(({ field }) => !isState || field.startsWith("state."))
        .map((parameter) => goOn(parameter, rounds)),
    }));
    return encoded(p.connectGetAllDomainStats.result, { retStats });
  };
  let prepared: Buffer | undefined;
  const waiting: (() => void)[] = [];
  daemon.on(p.connectGetAllDomainStats, (call) => {
    const { stats } = call.args(p.connectGetAllDomainStats);
    if (stats === p.DomainStatsTypes.STATE) {
      call.reply(reply(stats));
      return;
    }
    call.reply(prepared ?? reply(-1));
    prepared = undefined;
    rounds += 1;
    for (const tell of waiting.splice(0)) tell();
  });
  daemon.on(p.domainGetXmlDesc, (call) => {
    const xml = byId.get(call.args(p.domainGetXmlDesc).dom.uuid)?.xml ?? "";
    call.reply(encoded(p.domainGetXmlDesc.result, { xml }));
  });
  daemon.on(p.domainGetState, (call) => {
    call.reply(encoded(p.domainGetState.result, { state: p.DomainState.RUNNING, reason: 1 }));
  });
  daemon.on(p.domainGetControlInfo, (call) => {
    call.reply(encoded(p.domainGetControlInfo.result, { state: OK, details: 0, stateTime: 0 }));
  });
  daemon.otherwise = (call) => call.fail(NO_SUPPORT, "the crowd's daemon does not do that");
  return {
    uri: daemon.uri,
    socketPath: daemon.socketPath,
    prepare: () => {
      prepared ??= reply(-1);
      collectGarbage();
    },
    delivered: () =>
      new Promise((resolve) => {
        waiting.push(resolve);
      }),
  };
}

function copyOf(recorded: readonly RecordedGuest[], index: number): RecordedGuest {
  const original = recorded[index % recorded.length];
  if (original === undefined) throw new Error(`${recordedGuests} holds no guest`);
  const dom = { name: `crowd-${index}`, uuid: randomUUID(), id: index + 1 };
  const nic = `vnet${index}`;
  return {
    dom,
    xml: original.xml
      .replaceAll(original.dom.name, dom.name)
      .replaceAll(original.dom.uuid, dom.uuid)
      .replace(/vnet\d+/, nic),
    params: original.params.map(({ field, value }) => ({
      field,
      value: field === "net.0.name" ? { type: "string", value: nic } : value,
    })),
  };
}

const stillFields =
  /^(state|vcpu\.(current|maximum)|.*\.(count|name|path|capacity|backingIndex|current|maximum))/;

function goOn(parameter: p.TypedParameter, rounds: number): p.TypedParameter {
  const { field, value } = parameter;
  if (field === "balloon.last-update")
    return { field, value: { type: "ullong", value: Math.floor(Date.now() / 1000) } };
  if (value.type !== "ullong" || stillFields.test(field)) return parameter;
  return { field, value: { type: "ullong", value: value.value + rounds * 4096 } };
}
