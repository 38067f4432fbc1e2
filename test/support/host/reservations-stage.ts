import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { Ledger } from "../../../agent/host/capacity/ledger.ts";
import { Reservations } from "../../../agent/host/capacity/reservations.ts";
import { SocleError } from "../../../agent/kernel/errors.ts";
import { silentLog } from "../../../agent/kernel/log.ts";
import { anywhere } from "../../../agent/contract/spec.ts";
import { ReservationBook } from "../../../agent/state/reservations/reservation-book.ts";
import type { ReservedRoom } from "../../../agent/contract/spec.ts";
import { folder } from "../state/folder.ts";
import { FakeClock } from "./fake-clock.ts";
import { FakeRecord } from "./fake-record.ts";

export const GIB = 1024 ** 3;
export const HOUR_MS = 3_600_000;
export const room: ReservedRoom = {
  tenant: "blue",
  vcpus: 2,
  memoryBytes: GIB,
  accelerator: "kvm",
  placementRequest: { ...anywhere, dedicatedCpus: true },
};
export const blue = { caller: "scheduler", mayAll: false };
export const request = (requestId: string, body = "", caller = "scheduler") => ({
  requestId,
  caller,
  fingerprint: `f ${body}`,
});

/** A machine with six dedicated CPUs: its agents come and go, its clocks run on. */
export class Machine {
  readonly directory: string;
  readonly clock = new FakeClock();
  readonly record = new FakeRecord();
  /** The offset of the wall clock from the clock that cannot be set. */
  bootId = "boot-1";
  bootedAtMs = 0;

  private constructor(directory: string) {
    this.directory = directory;
  }

  static async make(context: TestContext): Promise<Machine> {
    return new Machine(await folder(context));
  }

  reboot(): void {
    this.bootId += "'";
    this.bootedAtMs = this.clock.monotonicMs();
  }

  async start(limits: { maxHeld?: number } = {}) {
    const { clock, directory, bootId } = this;
    const policy = {
      reservedCpus: 0,
      reservedMemoryBytes: 0,
      cpuOvercommitRatio: 1,
      memoryOvercommitRatio: 1,
      dedicatedCpus: [2, 3, 4, 5, 6, 7],
    };
    const ledger = new Ledger({
      policy,
      scheduling: () => this.record.scheduling,
      clock,
      changed: () => undefined,
    });
    const boot = { bootId, ms: () => clock.monotonicMs() - this.bootedAtMs };
    const retentionMs = 24 * HOUR_MS;
    const book = await ReservationBook.open({
      directory,
      clock,
      boot,
      log: silentLog,
      retentionMs,
      ...limits,
    });
    const reservations = new Reservations({ book, ledger, clock, log: silentLog });
    ledger.setCells([
      { id: 0, cpus: [0, 1, 2, 3, 4, 5, 6, 7], memoryBytes: 64 * GIB, pages: [], distances: [] },
    ]);
    ledger.setFootprints([], true);
    const free = (): number | undefined =>
      ledger.capacity.cells[0]?.resources.find(({ resource }) => resource === "cpu_dedicated")?.available;
    return { book, ledger, reservations, free, crash: () => book.close() };
  }
}

export async function refusal(act: () => unknown): Promise<SocleError> {
  try {
    await act();
  } catch (thrown) {
    assert.ok(thrown instanceof SocleError, String(thrown));
    return thrown;
  }
  assert.fail("it was accepted");
}
