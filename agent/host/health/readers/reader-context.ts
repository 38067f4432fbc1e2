import type { Config } from "../../../config/schema.ts";
import type { FilesystemProbe } from "../../../hardware/storage/filesystem.ts";
import type { Reading } from "../../../hardware/reading.ts";
import type { Roots } from "../../../hardware/roots.ts";
import type { OwnCertificate } from "./certificate.ts";
import type { Clock } from "../../../kernel/clock.ts";
import type { WatchedJournal } from "./journals.ts";
import type { SeenLogs } from "../../../state/records/health-record.ts";
import type { SeenHardware } from "../seen.ts";

/** Seen state, kept over restarts of the agent. */
export interface SeenMemory {
  /** Hardware seen since boot. */
  readonly seen: Pick<SeenHardware, "has" | "add">;
  /** Positions in logs. */
  readonly seenLogs: SeenLogs;
  keepSeen(seen: SeenLogs): void;
}

/** Dependencies of readers. */
export interface ReaderContext {
  readonly roots: Roots;
  readonly config: Config;
  readonly clock: Clock;
  readonly filesystems: FilesystemProbe;
  readonly journals: readonly WatchedJournal[];
  readonly memory: SeenMemory;
  /** This host's current certificate; unsupported without a trust domain, or before enrollment. */
  readonly certificate: () => Reading<OwnCertificate>;
  /** Paths of filesystems to read, evaluated each time. */
  readonly watchedPaths: () => Iterable<string>;
  /** Those of these that hold disks of VMs. */
  readonly vmPaths: () => Iterable<string>;
}
