// A host that enrolls with a real authority over TLS.
import type { TestContext } from "node:test";
import { systemClock, type Clock } from "../../../agent/kernel/clock.ts";
import type { SocleError } from "../../../agent/kernel/errors.ts";
import { createLog } from "../../../agent/kernel/log.ts";
import { Enrollment } from "../../../agent/scheduler/enrollment.ts";
import { replaceFile } from "../../../agent/state/journal/durable-file.ts";
import { Trust } from "../../../agent/trust/index.ts";
import { Authority } from "../../scheduler/authority.ts";
import { Enroller, type EnrollerOptions } from "../../scheduler/enroller.ts";
import { protos } from "../api/harness.ts";
import { folder } from "../state/folder.ts";

export const domain = "cloud.example";
export const hostId = "6f1f6d1a-0000-4000-8000-000000000001";
export const HOUR_MS = 3_600_000;

export async function stage(
  t: TestContext,
  options: EnrollerOptions & { readonly clock?: Clock; readonly isByItself?: boolean } = {},
) {
  const authority = await Authority.make(domain);
  const enroller = await Enroller.start(authority, options);
  t.after(() => enroller.stop());
  const directory = await folder(t);
  const logged: string[] = [];
  const log = createLog({ level: "debug", destination: { write: (line) => void logged.push(line) } });
  const { clock = systemClock } = options;
  const credentials = await folder(t);
  const config = { directory, domain, enrollAt: options.isByItself === true ? enroller.address : null };
  const environment = { CREDENTIALS_DIRECTORY: credentials };
  const trust = new Trust({ replaceFile, ...config, clock, log });
  const identity = () => ({ id: hostId, hostname: "host-a" });
  const enrollment = new Enrollment({
    config,
    environment,
    trust,
    service: protos.enrollment,
    identity,
    clock,
    log,
  });
  const { signal } = new AbortController();
  const enroll = (token: string, address = enroller.address, fingerprint: string | null = null) =>
    enrollment.enroll(address, token, fingerprint, signal);
  const trustAgain = () => new Trust({ replaceFile, ...config, clock, log });
  return { authority, enroller, directory, credentials, logged, trust, trustAgain, enrollment, enroll };
}

export const failureOf = ({ failure }: Enrollment): { reason: string } | undefined => failure;
export const reasonOf = async (act: Promise<unknown>): Promise<string> =>
  await act.then(
    () => "done",
    (thrown: unknown) => (thrown as SocleError).reason,
  );
