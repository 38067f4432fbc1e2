export {
  AuditKey,
  parseCheckpoint,
  publicName,
  readHead,
  VerifyKey,
  type Attested,
  type Checkpoint,
} from "./checkpoint.ts";
export { matches, textMatcher, type Act, type Actor, type ActKind, type Entry } from "./entry.ts";
export {
  keyOfExport,
  TenantExport,
  verifyExport,
  type ExportReport,
  type VerifyExportOptions,
} from "./export.ts";
export { Forwarder, type ForwardState } from "./forwarder.ts";
export { AuditLog, type AuditState } from "./log.ts";
export { journalSink, syslogSink } from "./sinks.ts";
export type { KeptEntry, Page, PageQuery } from "./page.ts";
export { auditHealth, certificateTrail, operationTrail, type AuditTrouble } from "./trails.ts";
export { verifyLog, type Problem, type Report } from "./verify.ts";
