import { readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  AuditLog,
  publicName,
  verifyLog,
  VerifyKey,
  type Act,
  type Report,
} from "../../../agent/audit/index.ts";
import type { Keeping } from "../../../agent/audit/segments.ts";
import { silentLog } from "../../../agent/kernel/log.ts";
import { FakeClock } from "../host/fake-clock.ts";

export const dayMs = 86_400_000;

/** An audit log in a folder, on a clock that the test drives. */
export async function auditLog(directory: string, keeping: Partial<Keeping> = {}, clock = new FakeClock()) {
  const log = await AuditLog.open({ directory, clock, log: silentLog, retentionMs: 190 * dayMs, ...keeping });
  return { log, clock };
}

export const started = (vm: string): Act => ({
  act: "call_admitted",
  caller: { name: "spiffe://cloud.example/operator/ann", role: "operator", certificateSerial: "0A" },
  method: "/socle.v1.VmService/StartVm",
  requestId: `request-${vm}`,
  vm,
  tenant: vm.startsWith("red") ? "red" : "blue",
  outcome: "allowed",
});

export const keyOf = async (directory: string): Promise<VerifyKey> =>
  VerifyKey.fromPem(await readFile(join(directory, publicName), "utf8"));

export const verified = async (directory: string): Promise<Report> =>
  await verifyLog(directory, { key: await keyOf(directory) });
