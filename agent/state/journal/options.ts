import type * as z from "../../kernel/zod.ts";
import type { SocleError } from "../../kernel/errors.ts";
import type { Logger } from "../../kernel/log.ts";

export interface JournalOptions {
  /** The kind of its records; a file of another kind or a newer version is refused. */
  readonly kind: string;
  readonly log: Logger;
  /** The host had this file before: a missing one was lost. Default: a missing file is created. */
  readonly mustExist?: boolean;
  /** Called for every record in the file, in order. A compaction may repeat records. */
  readonly replay: (record: unknown) => void;
  /** The minimal records equivalent to all appended so far, including those not yet durable. */
  readonly live: () => Iterable<unknown>;
  /** Compact if the file is larger than this and than twice its size after the last compaction. Default 8 MiB. */
  readonly compactAboveBytes?: number;
  /** The schema of every record, checked on write and on read. Default: anything. */
  readonly schema?: z.ZodType;
  /**
   * Called if the file is damaged, lost, of another version or unreadable: the journal then takes no record, and not
   * all records were replayed. Without it open() throws.
   */
  readonly onUnreadable?: (why: SocleError) => void;
  /**
   * Called before refusing a record that was in the file for a moment: a copy of the file made meanwhile has it. If it
   * rejects, the append is `outcome_unknown`.
   */
  readonly beforeRefused?: () => Promise<void>;
}
