export { AuditKey, parseCheckpoint, publicName, readHead, VerifyKey, type Checkpoint } from "./checkpoint.ts";
export { matches, textMatcher, type Act, type Actor, type Entry } from "./entry.ts";
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

export type { Page } from "./page.ts";
export { auditHealth, certificateTrail, operationTrail, type AuditTrouble } from "./trails.ts";
export { verifyLog, type Problem, type Report } from "./verify.ts";
