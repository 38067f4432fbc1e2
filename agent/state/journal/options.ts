import type * as z from "zod";
import type { SocleError } from "../../kernel/errors.ts";
import type { Logger } from "../../kernel/log.ts";

export interface JournalOptions {
  /** What the records are; a file of another kind or a newer version is refused. */
  readonly kind: string;
  readonly log: Logger;
  /** The host had this file before: one that is missing was lost. Default: a missing file is made. */
  readonly mustExist?: boolean;
  /** Called for every record that the file holds, in order. A record may come again after a compaction. */
  readonly replay: (record: unknown) => void;
  /** The least records that say the same as all appended so far (those not yet durable included). */
  readonly live: () => Iterable<unknown>;
  /** Compact when the file is larger than this and than twice what compaction last left. Default 8 MiB. */
  readonly compactAboveBytes?: number;
  /** What every record is, when it is written and when it is read. Default: anything. */
  readonly schema?: z.ZodType;
  /**
   * Called where the file is damaged, lost, of another version or cannot be read: the journal takes no record then, and what was
   * replayed is not all. Without it open() throws.
   */
  readonly onUnreadable?: (why: SocleError) => void;
  /**
   * Called before a record is refused that was in the file for a moment: a copy of the file made meanwhile has it. Where it
   * rejects, the append is `outcome_unknown`.
   */
  readonly beforeRefused?: () => Promise<void>;
}
